// Ports of this machine, and clients of the greeters of the zoo.
#pragma once

#include <sys/types.h>

#include <string>

#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

/// The first of `count` ports in a row that nobody has on the loopback, outside those that the kernel gives to clients.
int free_ports(int count);
/// "127.0.0.1:FIRST-LAST" of `count` ports.
std::string loopback_range(int first, int count);
/// A connection to the loopback; invalid when it is refused.
UniqueFd connect_to(int port);
/// Reads the greeter's line: its pid; 0 when the connection was cut or nothing comes within 10 s.
pid_t greeting_on(const UniqueFd& connection);
/// The same on a new connection; -1 when that was refused.
pid_t greeted_by(int port);

}  // namespace flynn::core
