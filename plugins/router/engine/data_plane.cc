#include "engine/data_plane.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "engine/loop_thread.h"

namespace flynn::router {
namespace {

constexpr unsigned kThreadsMax = 64;
constexpr std::uint64_t kCutOffNs = 1'000'000'000;

std::string failure(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

std::chrono::steady_clock::time_point time_point(std::uint64_t ns) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(ns));
}

// Both are properties of the shared socket: connections inherit the one, and a thread that loses the race for a
// connection needs the other.
bool prepare(int listen_fd) {
  const int on = 1;
  ::setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int flags = ::fcntl(listen_fd, F_GETFL);
  return flags >= 0 && ::fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) >= 0;
}

}  // namespace

std::string port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "80";
  const auto port = address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                                  : reinterpret_cast<sockaddr_in&>(address).sin_port;
  return std::to_string(ntohs(port));
}

DataPlane::DataPlane() = default;
DataPlane::~DataPlane() { stop(); }

std::string DataPlane::start(const Settings& settings) {
  settings_ = settings;
  if (settings_.threads == 0) settings_.threads = std::max(1u, std::thread::hardware_concurrency());
  settings_.threads = std::min(settings_.threads, kThreadsMax);
  for (unsigned i = 0; i < settings_.threads; ++i) {
    auto thread = std::make_unique<LoopThread>(settings_, [this] { changed_.notify_all(); });
    if (!thread->start("router." + std::to_string(i))) {
      auto text = failure("make an event loop");
      stop();
      return text;
    }
    threads_.push_back(std::move(thread));
  }
  return {};
}

std::string DataPlane::accept(int listen_fd) {
  if (!prepare(listen_fd)) return failure("prepare the listening socket");
  port_ = port_of(listen_fd);
  for (auto& thread : threads_) {
    UniqueFd duplicate(::fcntl(listen_fd, F_DUPFD_CLOEXEC, 0));
    if (!duplicate.valid()) return failure("duplicate the listening socket");
    thread->set_draining(false);
    thread->accept_from(std::move(duplicate), port_);
  }
  return {};
}

void DataPlane::admit(UniqueFd socket, const std::string& ip, std::shared_ptr<SecureEnd> end) {
  threads_[next_thread_.fetch_add(1) % threads_.size()]->admit(std::move(socket), ip, std::move(end));
}

void DataPlane::set_secure_port(const std::string& port) {
  for (auto& thread : threads_) thread->set_secure_port(port);
}

void DataPlane::for_each_loop(const std::function<void(LoopThread&, std::function<void()>)>& ask) {
  std::size_t left = threads_.size();
  for (auto& thread : threads_)
    ask(*thread, [this, &left] {
      const std::lock_guard lock(mutex_);
      --left;
      changed_.notify_all();
    });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return left == 0; });
}

void DataPlane::stop_accepting() {
  for_each_loop([](LoopThread& thread, std::function<void()> done) { thread.stop_accepting(std::move(done)); });
}

std::string DataPlane::accept_tcp(int port, int listen_fd, const TcpTarget& target, std::function<void()> on_lost) {
  if (!prepare(listen_fd)) return failure("prepare the listening socket");
  const auto shared = std::make_shared<const TcpTarget>(target);
  for (auto& thread : threads_) {
    UniqueFd duplicate(::fcntl(listen_fd, F_DUPFD_CLOEXEC, 0));
    if (!duplicate.valid()) return failure("duplicate the listening socket");
    thread->accept_tcp(port, std::move(duplicate), shared, on_lost);
  }
  return {};
}

void DataPlane::stop_accepting_tcp(int port) {
  for_each_loop(
      [port](LoopThread& thread, std::function<void()> done) { thread.stop_accepting_tcp(port, std::move(done)); });
}

bool DataPlane::wait_until_empty(std::uint64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  // The loops notify without the lock: a wake-up may be missed, and the wait must not last.
  while (totals().connections > 0) {
    const auto step = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    const auto until = deadline_ns == 0 ? step : std::min(step, time_point(deadline_ns));
    changed_.wait_until(lock, until);
    if (deadline_ns != 0 && std::chrono::steady_clock::now() >= time_point(deadline_ns)) break;
  }
  return totals().connections == 0;
}

bool DataPlane::drain(std::uint64_t deadline_ns) {
  for (auto& thread : threads_) thread->set_draining(true);
  if (wait_until_empty(deadline_ns)) return true;
  for (auto& thread : threads_) thread->close_all();
  wait_until_empty(deadline_ns + kCutOffNs);
  return false;
}

void DataPlane::stop() {
  for (auto& thread : threads_) {
    thread->stop();
    last_lines_.take_rest(thread->log());
  }
  threads_.clear();
}

void DataPlane::set_table(const std::shared_ptr<const RouteTable>& table) {
  for (auto& thread : threads_) thread->set_table(table);
}

Totals DataPlane::totals() const {
  Totals sum;
  for (const auto& thread : threads_) {
    const auto& counters = thread->counters();
    sum.connections += counters.connections.get();
    sum.requests += counters.requests.get();
    sum.made_errors += counters.made_errors.get();
    sum.latency_ms += counters.latency_ms.get();
    sum.upstream_errors += counters.upstream_errors.get();
    sum.upstream_connects += counters.upstream_connects.get();
    sum.tunnels += counters.tunnels.get();
    sum.tcp_open += counters.tcp_open.get();
    sum.tcp_served += counters.tcp_served.get();
    sum.tcp_no_instance += counters.tcp_no_instance.get();
    sum.tcp_resets += counters.tcp_resets.get();
    sum.tcp_timeouts += counters.tcp_timeouts.get();
    sum.tcp_bytes_in += counters.tcp_bytes_in.get();
    sum.tcp_bytes_out += counters.tcp_bytes_out.get();
    sum.bytes_in += counters.bytes_in.get();
    sum.bytes_out += counters.bytes_out.get();
    sum.log_lines_dropped += counters.log_lines_dropped.get();
    for (std::size_t i = 0; i < sum.responses.size(); ++i) sum.responses[i] += counters.responses[i].get();
  }
  return sum;
}

void DataPlane::collect_log(const std::function<void(const LogLine&)>& visit) {
  for (auto& thread : threads_) thread->log().collect(visit);
  last_lines_.collect(visit);
}

}  // namespace flynn::router
