#include "load_backend.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

namespace flynn::load {

std::string piece(int i) {
  std::string bytes(kPieceBytes, ' ');
  auto seed = static_cast<std::uint32_t>(i + 1);
  for (auto& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

std::uint64_t long_body_sum() {
  auto sum = checksum({});
  for (int i = 0; i < kPieces; ++i) sum = checksum(piece(i), sum);
  return sum;
}

LoadBackend::LoadBackend()
    : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_.get(), 1024) != 0)
    std::abort();
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

LoadBackend::~LoadBackend() {
  ::eventfd_write(stop_.get(), 1);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (auto& thread : served_) thread.join();
}

// Under the lock: those in the list have let go of it and only return.
void LoadBackend::join_ended() {
  for (auto& thread : served_)
    if (std::find(ended_.begin(), ended_.end(), thread.get_id()) != ended_.end()) thread.join();
  std::erase_if(served_, [](const std::thread& thread) { return !thread.joinable(); });
  ended_.clear();
}

void LoadBackend::accept_all() {
  while (true) {
    pollfd fds[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(mutex_);
    join_ended();
    open_.push_back(fd.get());
    served_.emplace_back([this, raw = fd.release()] {
      HttpWire wire{UniqueFd(raw)};
      serve(wire);
      const std::lock_guard done(mutex_);
      std::erase(open_, raw);
      wire.close();
      ended_.push_back(std::this_thread::get_id());
    });
  }
}

void LoadBackend::serve(HttpWire& wire) const {
  for (std::string head; (head = wire.read_head()).ends_with("\r\n\r\n");) {
    if (!header(head, "upgrade: ").empty()) {
      wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      for (std::string byte; !(byte = wire.read_exactly(64)).empty();)
        if (!wire.send(byte)) return;
      return;
    }
    if (head.starts_with("GET /download ")) {
      wire.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kPieces * kPieceBytes) + "\r\n\r\n");
      for (int i = 0; i < kPieces; ++i) {
        if (!wire.send(piece(i))) return;
        if (wire.readable_within(kPieceMs)) break;  // nobody sends meanwhile: it has ended
      }
      continue;
    }
    std::string answer = "ok";
    if (head.starts_with("POST ")) {
      const auto size = static_cast<std::size_t>(std::atoll(header(head, "content-length: ").c_str()));
      const auto body = wire.read_exactly(size);
      if (body.size() != size) return;
      answer = std::to_string(checksum(body));
    }
    if (!wire.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(answer.size()) + "\r\n\r\n" + answer)) return;
  }
}

}  // namespace flynn::load
