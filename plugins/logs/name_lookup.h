// The addresses of a host, found without a wait that nobody can end.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/worker.h"

namespace flynn::logs {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// An address stands for itself; a name is looked up in /etc/hosts and by the name servers of resolv.conf, with c-ares:
/// the system's own resolver can't be interrupted, and a swap would wait for a name server that is away.
/// At least one address. not_found; unavailable; deadline_exceeded; cancelled when `stop` was asked. Thread: [any].
Result<std::vector<SocketAddress>> look_up(const std::string& host, std::uint16_t port, Deadline deadline,
                                           const StopSignal& stop);

}  // namespace flynn::logs
