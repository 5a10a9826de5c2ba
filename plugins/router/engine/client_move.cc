// A connection leaves for another router, or comes from one.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/client_connection.h"

namespace flynn::router {

bool ClientConnection::can_move() const {
  if (socket_.broken || secure_) return false;
  // What is left of an answer goes out where it was made.
  if (state_ == State::kHead) return socket_.out.empty();
  return state_ == State::kTunnel && !upstream_refuses_ && !exchange_->upstream->socket.broken;
}

bool ClientConnection::may_move_later() const {
  return !secure_ && (state_ == State::kHead || state_ == State::kDialing || state_ == State::kTunnel ||
                      state_ == State::kAdopted ||
                      (state_ == State::kServing && exchange_->client_keep_alive && !socket_.peer_closed));
}

MovingConnection ClientConnection::let_go() {
  MovingConnection moving;
  moving.ip = ip_.view();
  moving.timeout_ms = loop_.wheel.left_ms(*this);
  moving.received = pending_.view();
  moving.to_client = socket_.out.view();
  if (is_tunnel()) {
    auto& upstream = *exchange_->upstream;
    moving.to_upstream = upstream.socket.out.view();
    moving.client_ended = client_ended_;
    moving.upstream_ended = upstream_ended_;
    moving.service = upstream.backend->service;
    moving.instance = upstream.backend->id;
    moving.addr = upstream.backend->addr;
    if (exchange_->tcp.on) moving.record = tcp_record();
    leave_tcp();
    moving.upstream = loop_.upstreams.take_socket(upstream);
  }
  // The open socket lives on, so closing would not take it out of the epoll set.
  loop_.reactor.remove(socket_.fd);
  moving.client = UniqueFd(std::exchange(socket_.fd, -1));
  close_now();
  return moving;
}

// Registered and counted, but nothing is read until start_adopted: the batch may still be refused as a whole.
bool ClientConnection::adopt(MovingConnection& moving) {
  begin(moving.client.release(), moving.ip);
  state_ = State::kAdopted;
  adopted_ = true;
  bool fits = pending_.append(loop_.blocks, moving.received) && socket_.out.append(loop_.blocks, moving.to_client);
  if (moving.is_tunnel()) {
    client_ended_ = moving.client_ended;
    upstream_ended_ = moving.upstream_ended;
    exchange_ = loop_.new_exchange();
    exchange_->head_done = exchange_->head_sent = true;
    exchange_->status = 101;
    exchange_->tcp.on = false;
    if (moving.record) adopt_tcp(moving);
    exchange_->upstream = loop_.upstreams.adopt(moving.upstream.release(), find_instance(moving), *this);
    fits = fits && exchange_->upstream != nullptr &&
           exchange_->upstream->socket.out.append(loop_.blocks, moving.to_upstream);
  }
  if (moving.tcp) prepare_dialing(*moving.tcp);
  fits = fits && loop_.reactor.add(socket_.fd, *this);
  if (!fits) close_now();
  return fits;
}

std::shared_ptr<Backend> ClientConnection::find_instance(const MovingConnection& moving) const {
  if (const Service* service = loop_.table->service(moving.service))
    for (const auto& backend : service->backends)
      if (backend->id == moving.instance && backend->addr == moving.addr) return backend;
  // Gone from discovery, or not known here yet; the tunnel goes on.
  auto backend = std::make_shared<Backend>();
  backend->service = moving.service;
  backend->id = moving.instance;
  backend->addr = moving.addr;
  backend->retired = true;
  return backend;
}

// Bytes may have come long ago: no event will tell of them.
void ClientConnection::start_adopted(std::uint32_t timeout_ms) {
  if (state_ != State::kAdopted) return;
  loop_.wheel.arm(*this, timeout_ms);
  socket_.readable = socket_.writable = true;
  state_ = State::kHead;
  bool sent = socket_.flush(loop_.blocks);
  if (exchange_ != nullptr && exchange_->upstream == nullptr) {
    loop_.wheel.disarm(*this);
    state_ = State::kDialing;
    return find_backend();
  }
  if (exchange_ != nullptr) {
    state_ = State::kTunnel;
    loop_.counters.tunnels.add();
    auto& upstream = exchange_->upstream->socket;
    upstream.readable = upstream.writable = true;
    sent = upstream.flush(loop_.blocks) && sent;
  }
  if (!sent) return break_off(TcpEnd::kClientReset);
  loop_.make_ready(*this);
}

void ClientConnection::drop_adopted() {
  if (state_ == State::kAdopted) close_now();
}

}  // namespace flynn::router
