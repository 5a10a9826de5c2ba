#include "listener.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "connection.h"
#include "stream_pump.h"

namespace flynn::http {
namespace {

constexpr std::uint64_t kWakeToken = 0;
constexpr std::uint64_t kListenToken = 1;
constexpr std::uint64_t kFirstConnection = 2;

using Clock = std::chrono::steady_clock;

struct Served {
  std::unique_ptr<HttpConnection> connection;
  HttpConnection::Next next = HttpConnection::Next::request;  // never close
};

struct Watched {
  Served what;
  Clock::time_point since;
};

}  // namespace

struct HttpListener::Impl {
  Impl(ListenerOptions options_in, Handle handle_in, StreamPump& pump_in)
      : options(std::move(options_in)), handle(std::move(handle_in)), pump(pump_in) {}

  const ListenerOptions options;
  const Handle handle;
  StreamPump& pump;
  UniqueFd listening, epoll, wake_fd;
  std::thread io;
  std::vector<std::thread> workers;
  std::atomic<bool> stopping{false}, draining{false};
  std::atomic<std::size_t> open{0};

  mutable std::mutex mutex;
  std::condition_variable work_came, one_closed;
  std::deque<std::unique_ptr<HttpConnection>> work;    // has a request to be read
  std::vector<Served> returned;                        // to be watched
  std::set<HttpConnection*> served;                    // while a worker has them
  std::unordered_map<std::uint64_t, Watched> watched;  // idle or lingering [loop]
  std::uint64_t next_token = kFirstConnection;         // [loop]
  bool accepting = false;                              // [loop]

  std::string open_epoll();
  void wake() {
    std::uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(wake_fd.get(), &one, sizeof one);
  }
  void run_io();
  void run_worker();
  void watch_listening();
  void accept_some();
  void take_returned();
  void watch(Served what);
  void on_input(std::uint64_t token);
  void hand_over(std::unique_ptr<HttpConnection> connection);
  void drop_expired(Clock::time_point now);
  void forget(std::unique_ptr<HttpConnection> connection);
};

std::string HttpListener::Impl::open_epoll() {
  epoll.reset(::epoll_create1(EPOLL_CLOEXEC));
  wake_fd.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeToken;
  if (!epoll || !wake_fd || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake_fd.get(), &event) != 0) {
    return std::string("epoll for the HTTP listener: ") + std::strerror(errno);
  }
  return {};
}

/// Level-triggered on purpose: the lent socket is shared with the next version, which may take a connection first.
void HttpListener::Impl::watch_listening() {
  bool want = !draining && !stopping && open < options.connections_max;
  if (want == accepting) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kListenToken;
  ::epoll_ctl(epoll.get(), want ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listening.get(), &event);
  accepting = want;
}

void HttpListener::Impl::run_io() {
  std::array<epoll_event, 64> ready{};
  while (!stopping) {
    watch_listening();
    int n = ::epoll_wait(epoll.get(), ready.data(), static_cast<int>(ready.size()), 1000);
    for (int i = 0; i < n; ++i) {
      std::uint64_t token = ready[static_cast<std::size_t>(i)].data.u64;
      if (token == kListenToken) {
        accept_some();
      } else if (token == kWakeToken) {
        std::uint64_t ignored = 0;
        [[maybe_unused]] ssize_t got = ::read(wake_fd.get(), &ignored, sizeof ignored);
      } else {
        on_input(token);
      }
    }
    take_returned();
    drop_expired(Clock::now());
  }
}

void HttpListener::Impl::accept_some() {
  while (!draining && open < options.connections_max) {
    UniqueFd client(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    ++open;
    auto connection = HttpConnection::open(std::move(client), options);
    if (connection == nullptr) {
      forget(nullptr);
      continue;
    }
    watch({std::move(connection)});
  }
}

void HttpListener::Impl::watch(Served what) {
  std::uint64_t token = next_token++;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = token;
  const int fd = what.connection->fd();
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) return forget(std::move(what.connection));
  watched.emplace(token, Watched{std::move(what), Clock::now()});
}

void HttpListener::Impl::on_input(std::uint64_t token) {
  auto found = watched.find(token);
  if (found == watched.end()) return;
  const bool lingers = found->second.what.next == HttpConnection::Next::linger;
  if (lingers && found->second.what.connection->drop_input()) return;
  auto connection = std::move(found->second.what.connection);
  watched.erase(found);
  if (lingers) return forget(std::move(connection));
  ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, connection->fd(), nullptr);
  hand_over(std::move(connection));
}

void HttpListener::Impl::hand_over(std::unique_ptr<HttpConnection> connection) {
  std::lock_guard lock(mutex);
  work.push_back(std::move(connection));
  work_came.notify_one();
}

void HttpListener::Impl::take_returned() {
  std::vector<Served> back;
  {
    std::lock_guard lock(mutex);
    back.swap(returned);
  }
  for (Served& each : back) watch(std::move(each));
}

void HttpListener::Impl::drop_expired(Clock::time_point now) {
  for (auto it = watched.begin(); it != watched.end();) {
    const bool lingers = it->second.what.next == HttpConnection::Next::linger;
    if (now - it->second.since < (lingers ? kLingerTime : options.idle_timeout)) {
      ++it;
      continue;
    }
    auto connection = std::move(it->second.what.connection);
    it = watched.erase(it);
    forget(std::move(connection));
  }
}

/// Closes (with what it holds) and counts down.
void HttpListener::Impl::forget(std::unique_ptr<HttpConnection> connection) {
  connection.reset();
  std::lock_guard lock(mutex);
  --open;
  one_closed.notify_all();
}

void HttpListener::Impl::run_worker() {
  while (true) {
    std::unique_ptr<HttpConnection> connection;
    {
      std::unique_lock lock(mutex);
      work_came.wait(lock, [this] { return stopping || !work.empty(); });
      if (stopping) return;
      connection = std::move(work.front());
      work.pop_front();
      served.insert(connection.get());
    }
    const auto next = connection->serve(handle, pump, draining);
    {
      std::lock_guard lock(mutex);
      served.erase(connection.get());
    }
    if (next != HttpConnection::Next::close) {
      {
        std::lock_guard lock(mutex);
        returned.push_back({std::move(connection), next});
      }
      wake();
    } else {
      bool was_full = open >= options.connections_max;
      forget(std::move(connection));
      if (was_full) wake();
    }
  }
}

HttpListener::HttpListener(ListenerOptions options, Handle handle, StreamPump& pump)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handle), pump)) {}

HttpListener::~HttpListener() { stop(); }

std::string HttpListener::start(UniqueFd listening) {
  if (impl_->io.joinable()) return {};
  std::string problem = prepare(std::move(listening));
  if (problem.empty()) resume();
  return problem;
}

std::string HttpListener::prepare(UniqueFd listening) {
  if (impl_->io.joinable()) return {};
  impl_->listening = std::move(listening);
  std::string problem = impl_->open_epoll();
  if (!problem.empty()) return problem;
  impl_->stopping = false;
  impl_->draining = true;
  for (int i = 0; i < impl_->options.workers; ++i) {
    impl_->workers.emplace_back([impl = impl_.get()] { impl->run_worker(); });
    ::pthread_setname_np(impl_->workers.back().native_handle(),
                         (impl_->options.name + "-http-" + std::to_string(i)).c_str());
  }
  impl_->io = std::thread([impl = impl_.get()] { impl->run_io(); });
  ::pthread_setname_np(impl_->io.native_handle(), (impl_->options.name + "-accept").c_str());
  return {};
}

void HttpListener::quiesce() {
  impl_->draining = true;
  if (impl_->io.joinable()) impl_->wake();
}

void HttpListener::resume() {
  impl_->draining = false;
  if (impl_->io.joinable()) impl_->wake();
}

bool HttpListener::drain(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(impl_->mutex);
  return impl_->one_closed.wait_until(lock, deadline, [this] { return impl_->open == 0; });
}

void HttpListener::stop() {
  if (!impl_->io.joinable()) return;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->work_came.notify_all();
    for (HttpConnection* connection : impl_->served) connection->cut_off();
  }
  impl_->wake();
  impl_->io.join();
  for (std::thread& worker : impl_->workers) worker.join();
  impl_->workers.clear();
  impl_->work.clear();
  impl_->returned.clear();
  impl_->watched.clear();
  impl_->accepting = false;
  impl_->open = 0;
  impl_->listening.reset();
}

std::size_t HttpListener::connections() const { return impl_->open; }

}  // namespace flynn::http
