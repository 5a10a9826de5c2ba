// After 101 the router only passes bytes, in both directions and each with its own end.
#include <sys/socket.h>

#include "engine/client_connection.h"

namespace flynn::router {
namespace {

constexpr int kTurnsMax = 4;

}  // namespace

void ClientConnection::begin_tunnel(std::string_view head, std::string_view early) {
  write_log();
  exchange_->head_done = true;
  state_ = State::kTunnel;
  loop_.counters.tunnels.add();
  loop_.wheel.arm(*this, loop_.settings.tunnel_timeout_ms);
  if (!socket_.send(loop_.blocks, {head, early})) return abort();
  loop_.counters.bytes_out.add(head.size() + early.size());
  loop_.make_ready(*this);
}

ClientConnection::Pumped ClientConnection::pump_tunnel_side(Socket& from, Socket& to, Spill* first, bool& ended,
                                                            Counter& counter) {
  for (int turn = 0; turn < kTurnsMax; ++turn) {
    if (ended || !to.out.empty()) return Pumped::kNo;
    if (first != nullptr && !first->empty()) {
      const bool sent = to.send(loop_.blocks, {first->view()});
      first->clear(loop_.blocks);
      if (!sent) return Pumped::kGone;
      continue;
    }
    if (!from.readable) return Pumped::kNo;
    std::size_t size = 0;
    const auto received = from.receive(loop_.read_buffer, kReadBytes, size);
    if (received == Received::kNothing) return Pumped::kNo;
    if (received == Received::kFailed) return Pumped::kGone;
    if (received == Received::kEnd) {
      ended = true;
      ::shutdown(to.fd, SHUT_WR);
      return Pumped::kNo;
    }
    counter.add(size);
    if (!to.send(loop_.blocks, {{loop_.read_buffer, size}})) return Pumped::kGone;
  }
  return Pumped::kYes;
}

void ClientConnection::pump_tunnel() {
  auto& upstream = exchange_->upstream->socket;
  const auto up = pump_tunnel_side(socket_, upstream, &pending_, client_ended_, loop_.counters.bytes_in);
  const auto down = pump_tunnel_side(upstream, socket_, nullptr, upstream_ended_, loop_.counters.bytes_out);
  if (up == Pumped::kGone || down == Pumped::kGone) return abort();
  if (client_ended_ && upstream_ended_ && socket_.out.empty() && upstream.out.empty()) return close_now();
  loop_.wheel.arm(*this, loop_.settings.tunnel_timeout_ms);
  if (up == Pumped::kYes || down == Pumped::kYes) loop_.make_ready(*this);
}

}  // namespace flynn::router
