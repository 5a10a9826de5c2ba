// A connection on its way from one router to another: its sockets, and all that is known of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/tcp_target.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::router {

/// What is known of a connection of a TCP route before its end.
struct TcpRecord {
  std::string route, app_id;
  int port = 0;
  std::int64_t age_ms = 0, connect_ms = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  bool client_ended_first = false;
};

/// Between two requests; or (with an upstream) a tunnel, upgraded or of a TCP route; or (with `tcp`) accepted from the
/// port of a TCP route and not connected to an instance yet. The bytes are those that had been read and not yet
/// been passed on. Nobody reads or writes the sockets while they move, and no epoll set knows them.
struct MovingConnection {
  UniqueFd client;
  UniqueFd upstream;             // of a tunnel
  std::string ip;                // of the client
  std::uint32_t timeout_ms = 0;  // what is left of the time-out that runs
  std::string received;          // from the client: of the next request, or for the upstream
  std::string to_client;         // tunnel: what its socket did not take yet
  std::string to_upstream;
  bool client_ended = false, upstream_ended = false;  // tunnel: these directions are finished and shut down
  std::string service, instance, addr;                // tunnel: whose request in flight it is
  std::optional<TcpTarget> tcp;
  std::optional<TcpRecord> record;  // tunnel of a TCP route: what its line in the log will say

  [[nodiscard]] bool is_tunnel() const { return upstream.valid(); }
  [[nodiscard]] std::size_t descriptors() const { return is_tunnel() ? 2 : 1; }
  [[nodiscard]] std::size_t bytes() const { return received.size() + to_client.size() + to_upstream.size(); }
};

}  // namespace flynn::router
