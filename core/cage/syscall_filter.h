// The system calls that a caged plugin may make.
#pragma once

#include "flynn/sdk/result.h"

namespace flynn::core {

/// From now on, for this thread and what it starts: what is not on the list fails with EPERM. `net`: sockets of the
/// internet beside local ones; `exec`: other processes and programs beside threads.
Result<void> filter_syscalls(bool net, bool exec);

}  // namespace flynn::core
