// Opening one listening socket of the node.
#pragma once

#include <string>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

/// Binds "ADDRESS:PORT" (numeric) and listens: non-blocking, close-on-exec. An address in use names who holds it where
/// the kernel tells, and `remedy`: what to do other than to stop that program. `name` is for the words only.
/// Thread: [any].
Result<UniqueFd> bind_and_listen(const std::string& name, const std::string& address, const std::string& remedy);

/// Listens again on a bound socket that shutdown(2) has stopped; does nothing to one that listens. Another program may
/// have taken the port meanwhile: errors as above.
Result<void> listen_again(int socket, const std::string& name, const std::string& address, const std::string& remedy);

}  // namespace flynn::core
