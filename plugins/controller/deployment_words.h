/// Why the jobs of a release are not up, for whoever reads that its deployment failed.
#pragma once

#include "context.h"

namespace flynn::controller {

/// "the last job of web ended with exit status 3", "the process of web runs, but does not answer on port 8080", "no
/// host has room (…)": the first that applies; empty when nothing is known. Asks the scheduler when no job was started.
std::string why_not_up(Context& context, const std::string& app_id, const json::object& release);

}  // namespace flynn::controller
