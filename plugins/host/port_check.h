// PortCheck: which ports of this machine somebody has already.
#pragma once

#include <cstdint>
#include <string>

#include "flynn/sdk/result.h"

namespace flynn::host {

/// Binds `port` (1 to 65,535) of all addresses and lets it go at once. conflict: somebody has it. `proto`: "tcp" or
/// "udp". Thread: [any].
Result<void> check_port_is_free(std::uint16_t port, const std::string& proto);

}  // namespace flynn::host
