#include "engine/loop_thread.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/client_connection.h"

namespace flynn::router {
namespace {

constexpr unsigned kTicksASecond = 1000 / TimerWheel::kTickMs;
constexpr std::size_t kDescriptorsReserved = 64;

// Each client may need a connection to a backend as well.
std::size_t connections_allowed(const Settings& settings) {
  if (settings.connections_max != 0) return settings.connections_max;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto share = static_cast<std::size_t>(limit.rlim_cur) / 2 / (settings.threads == 0 ? 1 : settings.threads);
  return share > 2 * kDescriptorsReserved ? share - kDescriptorsReserved : kDescriptorsReserved;
}

std::string_view write_ip(const sockaddr_storage& address, char (&text)[INET6_ADDRSTRLEN]) {
  const void* bytes = nullptr;
  int family = AF_INET;
  if (address.ss_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
    family = mapped ? AF_INET : AF_INET6;
    bytes = mapped ? static_cast<const void*>(v6.s6_addr + 12) : &v6;
  }
  return ::inet_ntop(family, bytes, text, sizeof text) == nullptr ? "unknown" : std::string_view(text);
}

}  // namespace

LoopThread::LoopThread(const Settings& settings, std::function<void()> on_idle)
    : loop_(settings, *this),
      on_idle_(std::move(on_idle)),
      http_(*this),
      connections_max_(connections_allowed(settings)) {}

LoopThread::~LoopThread() { stop(); }

bool LoopThread::start(const std::string& name) {
  if (!loop_.reactor.open()) return false;
  thread_ = std::thread([this, name] {
    ::pthread_setname_np(::pthread_self(), name.c_str());
    loop_.reactor.run();
    // Everything is closed by the thread that used it.
    forget_all();
    loop_.close_all();
  });
  return true;
}

void LoopThread::stop() {
  if (!thread_.joinable()) return;
  loop_.reactor.ask_stop();
  thread_.join();
}

void LoopThread::set_table(std::shared_ptr<const RouteTable> table) {
  loop_.reactor.post([this, table = std::move(table)] {
    loop_.table = table;
    loop_.upstreams.drop_retired();
    retry_waiting();
  });
}

void LoopThread::retry_waiting() {
  // Those that still find none go back to the list's front: the others are taken out first.
  std::vector<ClientConnection*> all;
  for (auto* client = loop_.waiting; client != nullptr; client = client->next_waiting()) all.push_back(client);
  for (auto* client : all) client->retry_waiting();
}

void LoopThread::accept_from(UniqueFd listener, std::string port) {
  loop_.reactor.post([this, fd = std::make_shared<UniqueFd>(std::move(listener)), port = std::move(port)] {
    forget(http_);
    loop_.hand_over.end();
    http_.fd = std::move(*fd);
    loop_.port = port;
    watch(http_);
  });
}

// Other duplicates of the socket live on, so closing ours would not take it out of the epoll set.
void LoopThread::forget(Listener& listener) {
  if (!listener.fd.valid()) return;
  loop_.reactor.remove(listener.fd.get());
  listener.fd.reset();
}

void LoopThread::forget_tcp(int port) {
  const auto found = tcp_.find(port);
  if (found == tcp_.end()) return;
  forget(*found->second);
  tcp_.erase(found);
}

void LoopThread::forget_all() {
  forget(http_);
  while (!tcp_.empty()) forget_tcp(tcp_.begin()->first);
}

// While accepting pauses the next tick does it.
void LoopThread::watch(Listener& listener) {
  if (!paused_) loop_.reactor.add_listener(listener.fd.get(), listener);
}

void LoopThread::accept_tcp(int port, UniqueFd listener, std::shared_ptr<const TcpTarget> target,
                            std::function<void()> on_lost) {
  loop_.reactor.post([this, port, fd = std::make_shared<UniqueFd>(std::move(listener)), target = std::move(target),
                      on_lost = std::move(on_lost)] {
    forget_tcp(port);
    auto& made = *(tcp_[port] = std::make_unique<Listener>(*this));
    made.fd = std::move(*fd);
    made.tcp = target;
    made.on_lost = on_lost;
    watch(made);
  });
}

void LoopThread::stop_accepting_tcp(int port, std::function<void()> done) {
  loop_.reactor.post([this, port, done = std::move(done)] {
    forget_tcp(port);
    done();
  });
}

void LoopThread::stop_accepting(std::function<void()> done) {
  loop_.reactor.post([this, done = std::move(done)] {
    forget_all();
    loop_.hand_over.end();
    done();
  });
}

void LoopThread::admit(UniqueFd socket, std::string ip, std::shared_ptr<SecureEnd> end) {
  loop_.reactor.post(
      [this, fd = std::make_shared<UniqueFd>(std::move(socket)), ip = std::move(ip), end = std::move(end)] {
        if (loop_.draining || loop_.counters.connections.get() >= connections_max_) return;
        loop_.new_client()->open(fd->release(), ip, end);
      });
}

void LoopThread::set_secure_port(std::string port) {
  loop_.reactor.post([this, port = std::move(port)] { loop_.secure_port = port; });
}

void LoopThread::set_draining(bool draining) {
  loop_.reactor.post([this, draining] {
    loop_.draining = draining;
    if (!draining) return;
    loop_.hand_over.end();
    for (auto* client = loop_.clients; client != nullptr;) {
      auto* next = client->next();  // the drain may end it
      client->on_drain();
      client = next;
    }
  });
}

void LoopThread::give(unsigned share_permille, Outbox& outbox, std::size_t index) {
  loop_.reactor.post([this, share_permille, &outbox, index] { loop_.hand_over.open(share_permille, outbox, index); });
}

void LoopThread::stop_giving() {
  loop_.reactor.post([this] { loop_.hand_over.end(); });
}

bool LoopThread::adopt_all(std::vector<MovingConnection>& moving) {
  if (loop_.counters.connections.get() + moving.size() > connections_max_) return false;
  for (auto& one : moving) {
    auto* connection = loop_.new_client();
    if (!connection->adopt(one)) return false;
    adopted_.push_back({connection, one.timeout_ms});
  }
  return true;
}

void LoopThread::adopt(std::shared_ptr<std::vector<MovingConnection>> moving, std::string port,
                       std::function<void(bool)> done) {
  loop_.reactor.post([this, moving = std::move(moving), port = std::move(port), done = std::move(done)] {
    // A canary has no listener of its own yet.
    if (!http_.fd.valid()) loop_.port = port;
    done(adopt_all(*moving));
  });
}

void LoopThread::settle_adopted(bool keep) {
  loop_.reactor.post([this, keep] {
    for (const auto& adopted : std::exchange(adopted_, {}))
      keep ? adopted.connection->start_adopted(adopted.timeout_ms) : adopted.connection->drop_adopted();
  });
}

void LoopThread::close_all() {
  loop_.reactor.post([this] { loop_.close_all(); });
}

// One at a time: what waits further comes with the next round, which costs no call of its own.
void LoopThread::on_listener(Listener& listener, std::uint32_t events) {
  if (!listener.fd.valid()) return;
  if (listener.tcp && (events & (EPOLLHUP | EPOLLERR)) != 0) {
    forget(listener);
    listener.on_lost();
    return;
  }
  if (loop_.counters.connections.get() >= connections_max_) return pause_accepting();
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const int fd =
      ::accept4(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    const bool shut = errno == EINVAL && listener.tcp;  // meanwhile, which the next round's event tells
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED && !shut) pause_accepting();
    return;
  }
  char text[INET6_ADDRSTRLEN];
  const auto ip = write_ip(address, text);
  if (loop_.hand_over.wants_next()) return loop_.hand_over.hold(UniqueFd(fd), ip, listener.tcp);
  if (listener.tcp)
    loop_.new_client()->open_tcp(fd, ip, *listener.tcp);
  else
    loop_.new_client()->open(fd, ip);
}

// Out of room or of descriptors: connections wait in the kernel's queue, and we don't spin on it meanwhile.
void LoopThread::pause_accepting() {
  if (std::exchange(paused_, true)) return;
  if (http_.fd.valid()) loop_.reactor.remove(http_.fd.get());
  for (const auto& [port, listener] : tcp_)
    if (listener->fd.valid()) loop_.reactor.remove(listener->fd.get());
}

void LoopThread::go_on_accepting() {
  if (!std::exchange(paused_, false)) return;
  if (http_.fd.valid()) watch(http_);
  for (const auto& [port, listener] : tcp_)
    if (listener->fd.valid()) watch(*listener);
}

bool LoopThread::after_batch() {
  const bool more = loop_.finish_batch();
  loop_.hand_over.after_batch();
  if (loop_.draining && loop_.clients == nullptr) on_idle_();
  return more;
}

void LoopThread::on_tick() {
  loop_.wheel.tick();
  go_on_accepting();
  if (loop_.waiting != nullptr) retry_waiting();
  if (++ticks_ % kTicksASecond == 0) loop_.log.hand_over();
}

}  // namespace flynn::router
