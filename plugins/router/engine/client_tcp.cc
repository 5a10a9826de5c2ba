// A connection of a TCP route: to an instance first, and from there on a tunnel like any other.
#include <utility>

#include "engine/access_log.h"
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
  exchange.bytes = 0;
  exchange.app_id.set(target.app_id);
  exchange.backend_addr.set({});
  become_tcp(target.route, target.port);
}

// The instance has taken the connection. What the client has sent meanwhile waits in its socket.
void ClientConnection::begin_tcp_tunnel() {
  auto& exchange = *exchange_;
  exchange.head_done = exchange.head_sent = true;
  exchange.backend_addr.set(exchange.upstream->backend->addr);
  exchange.tcp.connected_ms = loop_.monotonic_ms;
  loop_.counters.tcp_served.add();
  loop_.counters.latency_ms.add(static_cast<std::uint64_t>(loop_.monotonic_ms - exchange.started_ms));
  enter_tunnel();
}

void ClientConnection::become_tcp(std::string_view route, int port) {
  auto& tcp = exchange_->tcp;
  tcp = TcpFacts{};
  tcp.on = true;
  tcp.route.set(route);
  tcp.port = port;
  loop_.counters.tcp_open.add();
}

void ClientConnection::leave_tcp() {
  if (exchange_ != nullptr && std::exchange(exchange_->tcp.on, false)) loop_.counters.tcp_open.subtract();
}

void ClientConnection::note_tcp_end(TcpEnd end) {
  if (exchange_ == nullptr || !exchange_->tcp.on) return;
  exchange_->tcp.end = end;
  if (end == TcpEnd::kNoInstance) loop_.counters.tcp_no_instance.add();
  if (end == TcpEnd::kIdleTimeout) loop_.counters.tcp_timeouts.add();
  if (end == TcpEnd::kClientReset || end == TcpEnd::kInstanceReset) loop_.counters.tcp_resets.add();
}

void ClientConnection::write_tcp_log() {
  if (exchange_ == nullptr || !exchange_->tcp.on) return;
  const auto& exchange = *exchange_;
  if (!loop_.settings.log_requests || exchange.app_id.view().empty()) return;
  const auto& tcp = exchange.tcp;
  const auto since = [&](std::int64_t until) { return static_cast<std::uint64_t>(until - exchange.started_ms); };
  LogTcp line;
  line.app_id = exchange.app_id.view();
  line.route = tcp.route.view();
  line.service = exchange.service.view();
  line.client_ip = ip_.view();
  line.backend = exchange.backend_addr.view();
  line.port = tcp.port;
  line.bytes_in = tcp.bytes_in;
  line.bytes_out = exchange.bytes;
  line.duration_ms = since(loop_.monotonic_ms);
  line.connect_ms = tcp.connected_ms == 0 ? line.duration_ms : since(tcp.connected_ms);
  line.timestamp_us = loop_.wall_ms * 1000;
  line.end = tcp.end;
  if (!loop_.log.add(line)) loop_.counters.log_lines_dropped.add();
}

TcpRecord ClientConnection::tcp_record() const {
  const auto& exchange = *exchange_;
  TcpRecord record;
  record.route = exchange.tcp.route.view();
  record.app_id = exchange.app_id.view();
  record.port = exchange.tcp.port;
  record.age_ms = loop_.monotonic_ms - exchange.started_ms;
  record.connect_ms = exchange.tcp.connected_ms - exchange.started_ms;
  record.bytes_in = exchange.tcp.bytes_in;
  record.bytes_out = exchange.bytes;
  record.client_ended_first = exchange.tcp.client_ended_first;
  return record;
}

void ClientConnection::adopt_tcp(const MovingConnection& moving) {
  auto& exchange = *exchange_;
  const TcpRecord& record = *moving.record;
  become_tcp(record.route, record.port);
  exchange.started_ms = loop_.monotonic_ms - record.age_ms;
  exchange.tcp.connected_ms = exchange.started_ms + record.connect_ms;
  exchange.tcp.bytes_in = record.bytes_in;
  exchange.bytes = record.bytes_out;
  exchange.tcp.client_ended_first = record.client_ended_first;
  exchange.app_id.set(record.app_id);
  exchange.service.set(moving.service);
  exchange.backend_addr.set(moving.addr);
}

}  // namespace flynn::router
