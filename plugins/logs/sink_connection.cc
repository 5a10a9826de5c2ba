#include "sink_connection.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace flynn::logs {
namespace {

constexpr int kReceivesMax = 64;  // a peer that talks without end must not keep us from sending

// A peer whose machine is gone says nothing: without these it would take a quarter of an hour to notice.
constexpr unsigned kUnacknowledgedMaxMs = 30'000;
constexpr int kKeepAliveIdleS = 60, kKeepAliveEveryS = 10, kKeepAliveTries = 3;

Result<void> wait_for(int fd, short events, Deadline deadline, const StopSignal& stop, const std::string& doing) {
  while (true) {
    std::array<pollfd, 2> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{fd, events, 0}};
    const int ready = ::poll(entries.data(), entries.size(), deadline.left_ms());
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errno_error(errno, doing);
    if (entries[0].revents != 0) return Error{Code::cancelled, doing + ": stopped"};
    if (ready == 0) return errno_error(ETIMEDOUT, doing);
    return {};
  }
}

void watch_peer(int fd) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveIdleS, sizeof kKeepAliveIdleS);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveEveryS, sizeof kKeepAliveEveryS);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepAliveTries, sizeof kKeepAliveTries);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMaxMs, sizeof kUnacknowledgedMaxMs);
}

Result<UniqueFd> connect_to(const SocketAddress& address, Deadline deadline, const StopSignal& stop,
                            const std::string& doing) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, doing);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    if (errno != EINPROGRESS) return errno_error(errno, doing);
    if (auto ready = wait_for(fd.get(), POLLOUT, deadline, stop, doing); !ready) return ready.error();
    int failure = 0;
    socklen_t size = sizeof failure;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) return errno_error(failure, doing);
  }
  watch_peer(fd.get());
  return fd;
}

// Each address gets its share of the time that is left: one that does not answer must not use up that of the next.
Result<UniqueFd> connect_to_any(const std::vector<SocketAddress>& addresses, Deadline deadline, const StopSignal& stop,
                                const std::string& doing) {
  Error last{Code::unavailable, doing + ": no address"};
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto share = deadline.left() / static_cast<int>(addresses.size() - i);
    auto fd = connect_to(addresses[i], Deadline::after(share), stop, doing);
    if (fd || fd.error().code == Code::cancelled) return fd;
    last = fd.error();
  }
  return last;
}

}  // namespace

Result<std::unique_ptr<SinkConnection>> SinkConnection::open(const SinkConfig& config, const StopSignal& stop) {
  const auto deadline = Deadline::after(kConnectMax);
  auto addresses = look_up(config.host, config.port, deadline, stop);
  if (!addresses) return addresses.error();
  auto fd = connect_to_any(*addresses, deadline, stop, "connect to " + config.endpoint());
  if (!fd) return fd.error();
  std::unique_ptr<SinkConnection> connection(new SinkConnection(std::move(*fd), stop, config.endpoint()));
  if (config.tls)
    if (auto started = connection->start_tls(config, deadline); !started)
      return started.error().context("connect to " + config.endpoint());
  return connection;
}

SinkConnection::~SinkConnection() {
  if (!tls_) return;
  tls_->say_goodbye();
  const auto last = tls_->take_output();  // if there is room for it: nobody waits for a goodbye
  [[maybe_unused]] const auto sent = ::send(fd_.get(), last.data(), last.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Result<void> SinkConnection::start_tls(const SinkConfig& config, Deadline deadline) {
  auto session = TlsSession::open(config.host, config.insecure);
  if (!session) return session.error();
  tls_ = std::move(*session);
  while (true) {
    auto done = tls_->shake_hands();
    auto sent = send_all(tls_->take_output(), deadline);  // after a failure: the alert that tells the peer why
    if (!done) return done.error();
    if (!sent) return sent.error();
    if (*done) return {};
    if (auto ready = wait_for(fd_.get(), POLLIN, deadline, stop_, "TLS handshake"); !ready) return ready.error();
    if (auto got = receive(); !got) return got.error();
  }
}

Result<void> SinkConnection::send_all(std::string_view bytes, Deadline deadline) {
  const auto doing = "write to " + endpoint_;
  while (!bytes.empty()) {
    if (stop_.asked()) return Error{Code::cancelled, doing + ": stopped"};
    const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      written_ += static_cast<std::uint64_t>(sent);
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (auto ready = wait_for(fd_.get(), POLLOUT, deadline, stop_, doing); !ready) return ready.error();
    } else if (errno != EINTR) {
      return errno_error(errno, doing);
    }
  }
  return {};
}

Result<bool> SinkConnection::receive() {
  std::array<char, 4096> part;
  const auto got = ::recv(fd_.get(), part.data(), part.size(), MSG_DONTWAIT);
  if (got == 0) return closed();
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got < 0) return errno_error(errno, "read from " + endpoint_);
  if (tls_) tls_->feed({part.data(), static_cast<std::size_t>(got)});
  return true;
}

Result<void> SinkConnection::check() {
  for (int i = 0; i < kReceivesMax; ++i) {
    auto got = receive();
    if (!got) return got.error();
    if (!*got) break;
  }
  if (!tls_) return {};
  auto open = tls_->drain();
  if (!open) return open.error().context(endpoint_);
  if (!*open) return closed();
  return send_all(tls_->take_output(), Deadline::after(kWriteMax));
}

Result<void> SinkConnection::write(std::string_view text) {
  if (auto alive = check(); !alive) return alive;
  const auto deadline = Deadline::after(kWriteMax);
  if (!tls_) return send_all(text, deadline);
  if (auto done = tls_->encrypt(text); !done) return done.error().context(endpoint_);
  return send_all(tls_->take_output(), deadline);
}

std::uint64_t SinkConnection::delivered() const {
  int waiting = 0;
  if (::ioctl(fd_.get(), SIOCOUTQ, &waiting) != 0) return written_;
  return written_ - std::min<std::uint64_t>(written_, static_cast<std::uint64_t>(std::max(waiting, 0)));
}

}  // namespace flynn::logs
