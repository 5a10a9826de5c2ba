#include "tls/tls_gate.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <list>
#include <thread>

#include "flynn/sdk/clock.h"
#include "tls/tls_connection.h"

namespace flynn::router {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kHandshakeMax = std::chrono::seconds(10), kLingerMax = std::chrono::seconds(2);
constexpr int kTickMs = 500;
constexpr std::size_t kConnectionsMax = 20'000;

std::string ip_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    return ::inet_ntop(AF_INET, &v4, text.data(), text.size()) == nullptr ? "unknown" : text.data();
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
  const void* bytes = mapped ? static_cast<const void*>(v6.s6_addr + 12) : &v6;
  return ::inet_ntop(mapped ? AF_INET : AF_INET6, bytes, text.data(), text.size()) == nullptr ? "unknown" : text.data();
}

}  // namespace

/// Thread: its own, but for listen and stop_listening [control].
class TlsGate::Loop {
 public:
  Loop(TlsGate& gate, unsigned number)
      : gate_(gate), epoll_(::epoll_create1(EPOLL_CLOEXEC)), bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    watch(bell_.get(), EPOLLIN, nullptr);
    thread_ = std::thread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), ("router.tls." + std::to_string(number)).c_str());
  }
  ~Loop() {
    ending_ = true;
    ring();
    thread_.join();
  }

  void listen(UniqueFd socket) {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(socket);
    changed_ = true;
    ring();
  }

 private:
  struct Place {
    std::unique_ptr<TlsConnection> connection;
    std::list<Place>::iterator self;
    bool plain_watched = false;
  };

  void ring() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(bell_.get(), &one, sizeof one);
  }
  void watch(int fd, std::uint32_t events, void* what) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = what;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  void take_wish() {
    std::uint64_t rings = 0;
    [[maybe_unused]] const auto heard = ::read(bell_.get(), &rings, sizeof rings);
    const std::lock_guard lock(mutex_);
    if (!changed_) return;
    changed_ = false;
    // Other duplicates of the socket live on, so closing ours would not take it out of the set.
    if (listening_) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listening_.get(), nullptr);
    listening_ = std::move(wanted_);
    if (listening_) watch(listening_.get(), EPOLLIN | EPOLLEXCLUSIVE, &listening_);
  }

  void accept_one() {
    if (!listening_ || gate_.connections_.load() >= kConnectionsMax) return;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    UniqueFd fd(
        ::accept4(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto place = places_.emplace(places_.end());
    place->self = place;
    place->connection =
        std::make_unique<TlsConnection>(std::move(fd), ip_of(address), gate_.certificates_.front().get());
    gate_.connections_.fetch_add(1);
    // Edge-triggered: the pump goes until both sides block.
    watch(place->connection->client(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &*place);
    serve(*place);
  }

  void serve(Place& place) {
    if (!place.connection->pump()) return end(place);
    if (place.plain_watched || !place.connection->shaken()) return;
    place.plain_watched = true;
    watch(place.connection->plain(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &place);
    gate_.admit_(place.connection->take_plain_end(), place.connection->ip(), place.connection->end());
  }

  // Its events of this round may still come: the place is kept until the round is over.
  void end(Place& place) {
    place.connection.reset();
    ended_.push_back(place.self);
  }

  void drop_ended() {
    if (ended_.empty()) return;
    for (const auto& place : ended_) places_.erase(place);
    const std::lock_guard lock(gate_.mutex_);
    gate_.connections_.fetch_sub(ended_.size());
    ended_.clear();
    gate_.emptied_.notify_all();
  }

  void drop_late() {
    const auto now = Clock::now();
    for (auto& place : places_) {
      if (!place.connection) continue;
      const auto age = now - place.connection->since();
      const bool late =
          (!place.connection->shaken() && age > kHandshakeMax) || (place.connection->closing() && age > kLingerMax);
      if (late) end(place);
    }
  }

  void run() {
    // OpenSSL writes with write(2), which knows no MSG_NOSIGNAL.
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    std::array<epoll_event, 128> events{};
    auto looked = Clock::now();
    while (!ending_) {
      const int count =
          ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), places_.empty() ? -1 : kTickMs);
      for (int i = 0; i < count; ++i) {
        void* what = events[static_cast<std::size_t>(i)].data.ptr;
        if (what == nullptr)
          take_wish();
        else if (what == &listening_)
          accept_one();
        else if (auto* place = static_cast<Place*>(what); place->connection)
          serve(*place);
      }
      if (Clock::now() - looked > std::chrono::milliseconds(kTickMs)) {
        looked = Clock::now();
        drop_late();
      }
      drop_ended();
    }
    for (auto& place : places_)
      if (place.connection) end(place);
    drop_ended();
  }

  TlsGate& gate_;
  UniqueFd epoll_, bell_, listening_;
  std::list<Place> places_;
  std::vector<std::list<Place>::iterator> ended_;
  std::mutex mutex_;
  UniqueFd wanted_;
  bool changed_ = false;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

TlsGate::TlsGate(const Certificates& certificates, unsigned threads, Admit admit)
    : certificates_(certificates), admit_(std::move(admit)) {
  for (unsigned i = 0; i < threads; ++i) loops_.push_back(std::make_unique<Loop>(*this, i));
}

TlsGate::~TlsGate() { loops_.clear(); }

Result<void> TlsGate::accept(int listen_fd) {
  const int flags = ::fcntl(listen_fd, F_GETFL);
  if (flags < 0 || ::fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
    return errno_error(errno, "prepare the listening socket of TLS");
  for (auto& loop : loops_) {
    UniqueFd duplicate(::fcntl(listen_fd, F_DUPFD_CLOEXEC, 0));
    if (!duplicate) return errno_error(errno, "duplicate the listening socket of TLS");
    loop->listen(std::move(duplicate));
  }
  return {};
}

void TlsGate::stop_accepting() {
  for (auto& loop : loops_) loop->listen(UniqueFd());
}

bool TlsGate::wait_until_empty(std::uint64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_for(lock, Deadline{deadline_ns}.left(), [this] { return connections_.load() == 0; });
}

}  // namespace flynn::router
