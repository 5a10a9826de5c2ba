// Who listens on a TCP port of this machine, for error messages.
#pragma once

#include <string>

namespace flynn::core {

/// "nginx (pid 123)", or empty when /proc does not tell.
std::string port_holder(const std::string& port);

}  // namespace flynn::core
