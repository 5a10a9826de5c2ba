// The default-deny list of system calls for jobs, as the runtime's JSON.
#pragma once

#include "flynn/sdk/json.h"

namespace flynn::host {

/// linux.seccomp of config.json, from the data file seccomp_allowed.txt.
json::object seccomp_profile();

}  // namespace flynn::host
