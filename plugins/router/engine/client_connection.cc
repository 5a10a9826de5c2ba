// The frame of a client's connection: events, time-outs, and its end.
#include "engine/client_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>

namespace flynn::router {
namespace {

constexpr std::uint32_t kLingerMs = 2'000;
constexpr int kLingerReadsMax = 16;

}  // namespace

void ClientConnection::begin(int fd, std::string_view ip) {
  socket_ = Socket{};
  socket_.fd = fd;
  ip_.set(ip);
  scanner_.reset();
  client_ended_ = upstream_ended_ = upstream_refuses_ = adopted_ = false;
  secure_.reset();
  next_ = loop_.clients;
  previous_ = nullptr;
  if (next_ != nullptr) next_->previous_ = this;
  loop_.clients = this;
  loop_.counters.connections.add();
}

bool ClientConnection::open(int fd, std::string_view ip, std::shared_ptr<SecureEnd> secure) {
  begin(fd, ip);
  secure_ = std::move(secure);
  state_ = State::kHead;
  if (!loop_.reactor.add(fd, *this)) return close_now(), false;
  // A connection that says nothing at first is a head that takes too long.
  loop_.wheel.arm(*this, loop_.settings.head_timeout_ms);
  return true;
}

void ClientConnection::on_events(std::uint32_t events) {
  if (state_ == State::kClosed) return;
  socket_.note(events);
  if (state_ == State::kAdopted) return;
  // In a tunnel what came before a hang-up is still to be passed on.
  if (socket_.broken && (state_ == State::kServing || state_ == State::kDialing || state_ == State::kFlushing))
    return break_off(TcpEnd::kClientReset);
  if (socket_.peer_closed) mind_half_close();
  if (state_ == State::kClosed) return;
  if (!socket_.out.empty() && socket_.writable && !socket_.flush(loop_.blocks)) return break_off(TcpEnd::kClientReset);
  resume();
}

void ClientConnection::resume() {
  go_on();
  if (loop_.hand_over.is_open()) loop_.hand_over.note(*this);
}

void ClientConnection::go_on() {
  switch (state_) {
    case State::kClosed:
    case State::kAdopted:
    case State::kDialing:
      return;
    case State::kHead:
      return read_head();
    case State::kServing:
      if (exchange_->upstream == nullptr || exchange_->upstream->state == Upstream::State::kConnecting) return;
      pump_request();
      if (state_ == State::kServing) pump_response();
      return;
    case State::kTunnel:
      return pump_tunnel();
    case State::kFlushing:
      if (socket_.out.empty()) linger();
      return;
    case State::kLingering:
      return linger();
  }
}

void ClientConnection::on_timer() {
  switch (state_) {
    case State::kHead:
      if (!pending_.empty()) return fail(408, "The request did not arrive in time");
      // What came between the last event and now must not be lost.
      socket_.readable = true;
      read_head();
      if (state_ == State::kHead && pending_.empty()) close_now();
      return;
    case State::kServing:
      if (exchange_->upstream == nullptr) return fail(503, "No process of the app is up");
      if (streams_to_half_closed()) return mind_half_close();
      return fail(504, "The app's process did not answer in time");
    case State::kDialing:
      // A connection on its way has a time-out of its own.
      if (exchange_->upstream == nullptr) fail(503, "No process of the app is up");
      return;
    default:
      return break_off(TcpEnd::kIdleTimeout);
  }
}

void ClientConnection::on_drain() {
  if (state_ == State::kHead && pending_.empty()) loop_.wheel.arm(*this, loop_.settings.drain_idle_ms);
  mind_half_close();
}

void ClientConnection::write_log() {
  auto& exchange = *exchange_;
  const auto hundred = static_cast<std::size_t>(exchange.status / 100);
  loop_.counters.responses[hundred < 6 ? hundred : 5].add();
  if (!loop_.settings.log_requests || exchange.app_id.view().empty()) return;
  const bool kept = loop_.log.add(
      {exchange.app_id.view(), exchange.method_name.view(), exchange.host.view(), exchange.path.view(), ip_.view(),
       exchange.backend_addr.view(), exchange.request_id.view(), exchange.status, exchange.bytes,
       static_cast<std::uint64_t>(loop_.monotonic_ms - exchange.started_ms), loop_.wall_ms * 1000});
  if (!kept) loop_.counters.log_lines_dropped.add();
}

void ClientConnection::drop_upstream() {
  if (exchange_ == nullptr || exchange_->upstream == nullptr) return;
  loop_.upstreams.close(*std::exchange(exchange_->upstream, nullptr));
}

// The client may still be sending: a close now would answer its bytes with a reset, and the reset would overtake our
// response. So: end our side, read on for a while, then close.
void ClientConnection::close_gently() {
  state_ = State::kFlushing;
  loop_.wheel.arm(*this, loop_.settings.stream_timeout_ms);
  if (socket_.out.empty()) linger();
}

void ClientConnection::linger() {
  if (state_ == State::kFlushing) {
    pending_.clear(loop_.blocks);
    ::shutdown(socket_.fd, SHUT_WR);
    state_ = State::kLingering;
    loop_.wheel.disarm(*this);
    loop_.wheel.arm(*this, kLingerMs);
  }
  for (int reads = 0; reads < kLingerReadsMax && socket_.readable; ++reads) {
    std::size_t size = 0;
    const auto received = socket_.receive(loop_.read_buffer, kReadBytes, size);
    if (received == Received::kEnd || received == Received::kFailed) return close_now();
  }
  if (socket_.peer_closed) return close_now();
  if (socket_.readable) loop_.make_ready(*this);
}

void ClientConnection::abort() {
  if (state_ == State::kClosed) return;
  const bool half_sent = state_ == State::kServing && exchange_ != nullptr && exchange_->head_done;
  if (exchange_ != nullptr && state_ == State::kServing && !exchange_->head_done) {
    exchange_->status = 499;
    write_log();
  } else if (half_sent) {
    write_log();
  }
  const bool tunnel = state_ == State::kTunnel;
  if (half_sent || tunnel) socket_.reset_on_close();
  if (tunnel) exchange_->upstream->socket.reset_on_close();
  // A socket pair knows no reset.
  if ((half_sent || tunnel) && secure_) secure_->broken_off = true;
  close_now();
}

void ClientConnection::close_now() {
  if (state_ == State::kTunnel) loop_.counters.tunnels.subtract();
  write_tcp_log();
  leave_tcp();
  stop_waiting();
  drop_upstream();
  if (exchange_ != nullptr) loop_.free_exchange(std::exchange(exchange_, nullptr));
  loop_.wheel.disarm(*this);
  pending_.clear(loop_.blocks);
  if (adopted_ && socket_.fd >= 0) loop_.reactor.remove(socket_.fd);
  socket_.close(loop_.blocks);
  state_ = State::kClosed;
  loop_.hand_over.note_end();
  if (previous_ != nullptr)
    previous_->next_ = next_;
  else
    loop_.clients = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  next_ = previous_ = nullptr;
  loop_.counters.connections.subtract();
  loop_.retire(*this);
}

}  // namespace flynn::router
