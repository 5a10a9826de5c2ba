// A connection of a TCP route: to an instance first, and from there on a tunnel like any other.
#include <utility>

#include "engine/client_connection.h"

namespace flynn::router {

bool ClientConnection::open_tcp(int fd, std::string_view ip, const TcpTarget& target) {
  begin(fd, ip);
  if (!loop_.reactor.add(fd, *this)) return close_now(), false;
  begin_dialing(target);
  return true;
}

void ClientConnection::begin_dialing(const TcpTarget& target) {
  prepare_dialing(target);
  state_ = State::kDialing;
  find_backend();
}

// What of an exchange matters without a request.
void ClientConnection::prepare_dialing(const TcpTarget& target) {
  exchange_ = loop_.new_exchange();
  auto& exchange = *exchange_;
  exchange.upstream = nullptr;
  exchange.head_sent = exchange.head_done = exchange.response_begun = false;
  exchange.sticky = exchange.set_cookie = exchange.maintenance = false;
  exchange.leader = target.leader;
  exchange.fresh_only = true;  // an idle connection speaks HTTP
  exchange.tries = 0;
  exchange.wait_until_ms = 0;
  exchange.status = 0;
  exchange.started_ms = loop_.monotonic_ms;
  exchange.service.set(target.service);
  exchange.app_id.set({});
  exchange.backend_addr.set({});
}

// The instance has taken the connection. What the client has sent meanwhile waits in its socket.
void ClientConnection::begin_tcp_tunnel() {
  auto& exchange = *exchange_;
  exchange.head_done = exchange.head_sent = true;
  loop_.counters.tcp_served.add();
  loop_.counters.latency_ms.add(static_cast<std::uint64_t>(loop_.monotonic_ms - exchange.started_ms));
  enter_tunnel();
}

}  // namespace flynn::router
