// After 101, and on a TCP route, the router only passes bytes, in both directions and each with its own end.
#include <sys/socket.h>

#include "engine/client_connection.h"

namespace flynn::router {
namespace {

constexpr int kTurnsMax = 4;

}  // namespace

struct ClientConnection::TunnelSide {
  Socket& from;
  Socket& to;
  Spill* first;  // what was read before it was a tunnel, or null
  bool& ended;
  Counter& counter;
  Counter& tcp_counter;
  std::uint64_t& bytes;
  bool pass_end;  // its end is an end, not a break
};

void ClientConnection::begin_tunnel(std::string_view head, std::string_view early) {
  write_log();
  exchange_->head_done = true;
  enter_tunnel();
  if (!socket_.send(loop_.blocks, {head, early})) return abort();
  loop_.counters.bytes_out.add(head.size() + early.size());
}

void ClientConnection::enter_tunnel() {
  state_ = State::kTunnel;
  loop_.counters.tunnels.add();
  loop_.wheel.disarm(*this);
  loop_.wheel.arm(*this, loop_.settings.tunnel_timeout_ms);
  loop_.make_ready(*this);
}

ClientConnection::Pumped ClientConnection::pump_tunnel_side(const TunnelSide& side) {
  for (int turn = 0; turn < kTurnsMax; ++turn) {
    if (side.ended || !side.to.out.empty()) return Pumped::kNo;
    if (side.first != nullptr && !side.first->empty()) {
      const bool sent = side.to.send(loop_.blocks, {side.first->view()});
      side.first->clear(loop_.blocks);
      if (!sent) return Pumped::kTargetGone;
      continue;
    }
    if (!side.from.readable) return Pumped::kNo;
    std::size_t size = 0;
    const auto received = side.from.receive(loop_.read_buffer, kReadBytes, size);
    if (received == Received::kNothing) return Pumped::kNo;
    if (received == Received::kFailed) return Pumped::kGone;
    if (received == Received::kEnd) {
      if (!side.pass_end) return Pumped::kGone;
      side.ended = true;
      ::shutdown(side.to.fd, SHUT_WR);
      return Pumped::kNo;
    }
    side.counter.add(size);
    side.bytes += size;
    if (exchange_->tcp.on) side.tcp_counter.add(size);
    if (!side.to.send(loop_.blocks, {{loop_.read_buffer, size}})) return Pumped::kTargetGone;
  }
  return Pumped::kYes;
}

void ClientConnection::pump_tunnel() {
  auto& exchange = *exchange_;
  auto& counters = loop_.counters;
  auto& upstream = exchange.upstream->socket;
  auto up = Pumped::kNo;
  if (!upstream_refuses_)
    up = pump_tunnel_side({socket_, upstream, &pending_, client_ended_, counters.bytes_in, counters.tcp_bytes_in,
                           exchange.tcp.bytes_in, true});
  if (up == Pumped::kGone) return break_off(TcpEnd::kClientReset);
  if (up == Pumped::kTargetGone) {
    // Before it broke off it may have said why: that is still to be passed on.
    upstream_refuses_ = true;
    upstream.out.clear(loop_.blocks);
    upstream.readable = true;
  }
  if (client_ended_ && !upstream_ended_) exchange.tcp.client_ended_first = true;
  const auto down = pump_tunnel_side({upstream, socket_, nullptr, upstream_ended_, counters.bytes_out,
                                      counters.tcp_bytes_out, exchange.bytes, !upstream_refuses_});
  if (down == Pumped::kGone) return break_off(TcpEnd::kInstanceReset);
  if (down == Pumped::kTargetGone) return break_off(TcpEnd::kClientReset);
  // One that has ended its own side, and then breaks off before the other side has ended, is told by no read.
  const bool upstream_gone = upstream_ended_ && !client_ended_ && (upstream.broken || upstream_refuses_);
  // (The far end of a socket pair hangs up when it is closed in order.)
  const bool client_gone = client_ended_ && !upstream_ended_ && socket_.broken && !secure_;
  if (upstream_gone && socket_.out.empty()) return break_off(TcpEnd::kInstanceReset);
  if (client_gone) return break_off(TcpEnd::kClientReset);
  if (client_ended_ && upstream_ended_ && socket_.out.empty() && upstream.out.empty()) {
    note_tcp_end(exchange.tcp.client_ended_first ? TcpEnd::kClientClosed : TcpEnd::kInstanceClosed);
    return close_now();
  }
  loop_.wheel.arm(*this, loop_.settings.tunnel_timeout_ms);
  if (up == Pumped::kYes || down == Pumped::kYes) loop_.make_ready(*this);
}

}  // namespace flynn::router
