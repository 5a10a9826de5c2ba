#include "engine/upstream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "engine/client_connection.h"
#include "engine/loop_context.h"

namespace flynn::router {

void Upstream::on_events(std::uint32_t events) {
  if (state == State::kClosed) return;
  socket.note(events);
  if (state == State::kIdle) {
    // Nothing may come on an idle connection but its end.
    if (socket.readable) loop_.upstreams.close(*this);
    return;
  }
  if (state == State::kConnecting) {
    if (socket.broken) return client->on_connect_failed();
    if (!socket.writable) return;
    state = State::kBusy;
    loop_.wheel.disarm(*this);
  }
  client->on_upstream_ready();
}

void Upstream::on_timer() {
  if (state == State::kIdle)
    loop_.upstreams.close(*this);
  else if (state == State::kConnecting)
    client->on_connect_failed();
}

UpstreamPool::~UpstreamPool() {
  reclaim();
  while (free_ != nullptr) delete std::exchange(free_, free_->next_free_);
}

Upstream* UpstreamPool::make() {
  if (free_ == nullptr) return new Upstream(loop_);
  return std::exchange(free_, free_->next_free_);
}

void UpstreamPool::attach(Upstream& upstream, ClientConnection& client) {
  upstream.client = &client;
  upstream.backend->in_flight.fetch_add(1, std::memory_order_relaxed);
}

void UpstreamPool::detach(Upstream& upstream) {
  if (upstream.client == nullptr) return;
  upstream.client = nullptr;
  upstream.backend->in_flight.fetch_sub(1, std::memory_order_relaxed);
}

Upstream* UpstreamPool::take_idle(const std::shared_ptr<Backend>& backend, ClientConnection& client) {
  const auto found = idle_.find(backend.get());
  if (found == idle_.end() || found->second.connections.empty()) return nullptr;
  Upstream* upstream = found->second.connections.back();
  found->second.connections.pop_back();
  upstream->state = Upstream::State::kBusy;
  upstream->reused = true;
  attach(*upstream, client);
  return upstream;
}

Upstream* UpstreamPool::connect(const std::shared_ptr<Backend>& backend, ClientConnection& client) {
  const int fd = ::socket(backend->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return nullptr;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&backend->address), backend->address_size);
  Upstream* upstream = make();
  upstream->socket = Socket{};
  upstream->socket.fd = fd;
  upstream->socket.writable = false;
  upstream->backend = backend;
  upstream->reused = upstream->adopted = false;
  upstream->state = Upstream::State::kConnecting;
  attach(*upstream, client);
  if ((connected != 0 && errno != EINPROGRESS) || !loop_.reactor.add(fd, *upstream)) {
    close(*upstream);
    return nullptr;
  }
  loop_.counters.upstream_connects.add();
  loop_.wheel.arm(*upstream, loop_.settings.connect_timeout_ms);
  return upstream;
}

void UpstreamPool::release(Upstream& upstream) {
  detach(upstream);
  if (upstream.socket.readable || upstream.socket.peer_closed || !upstream.socket.out.empty() ||
      !upstream.pending.empty() || upstream.backend->retired.load(std::memory_order_relaxed))
    return close(upstream);
  upstream.state = Upstream::State::kIdle;
  auto& idle = idle_[upstream.backend.get()];
  if (!idle.backend) idle.backend = upstream.backend;
  upstream.idle_at_ = idle.connections.size();
  idle.connections.push_back(&upstream);
  loop_.wheel.arm(upstream, loop_.settings.upstream_idle_timeout_ms);
}

void UpstreamPool::remove_idle(Upstream& upstream) {
  auto& list = idle_.find(upstream.backend.get())->second.connections;
  // The others keep their order except for the last one.
  list[upstream.idle_at_] = list.back();
  list[upstream.idle_at_]->idle_at_ = upstream.idle_at_;
  list.pop_back();
}

void UpstreamPool::close(Upstream& upstream) {
  if (upstream.state == Upstream::State::kClosed) return;
  if (upstream.state == Upstream::State::kIdle) remove_idle(upstream);
  detach(upstream);
  loop_.wheel.disarm(upstream);
  upstream.pending.clear(loop_.blocks);
  if (upstream.adopted && upstream.socket.fd >= 0) loop_.reactor.remove(upstream.socket.fd);
  upstream.socket.close(loop_.blocks);
  upstream.state = Upstream::State::kClosed;
  closed_.push_back(&upstream);
}

UniqueFd UpstreamPool::take_socket(Upstream& upstream) {
  loop_.reactor.remove(upstream.socket.fd);
  return UniqueFd(std::exchange(upstream.socket.fd, -1));
}

Upstream* UpstreamPool::adopt(int fd, std::shared_ptr<Backend> backend, ClientConnection& client) {
  Upstream* upstream = make();
  upstream->socket = Socket{};
  upstream->socket.fd = fd;
  upstream->backend = std::move(backend);
  upstream->reused = upstream->adopted = true;
  upstream->state = Upstream::State::kBusy;
  attach(*upstream, client);
  if (loop_.reactor.add(fd, *upstream)) return upstream;
  close(*upstream);
  return nullptr;
}

void UpstreamPool::drop_retired() {
  for (auto entry = idle_.begin(); entry != idle_.end();) {
    if (!entry->first->retired.load(std::memory_order_relaxed)) {
      ++entry;
      continue;
    }
    auto& list = entry->second.connections;
    while (!list.empty()) close(*list.back());
    entry = idle_.erase(entry);
  }
}

void UpstreamPool::close_idle() {
  for (auto& [backend, idle] : idle_)
    while (!idle.connections.empty()) close(*idle.connections.back());
}

void UpstreamPool::reclaim() {
  for (Upstream* upstream : closed_) {
    upstream->backend.reset();
    upstream->next_free_ = std::exchange(free_, upstream);
  }
  closed_.clear();
}

}  // namespace flynn::router
