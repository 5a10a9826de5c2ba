#include "engine/reactor.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <utility>

#include "engine/timer_wheel.h"

namespace flynn::router {
namespace {

constexpr int kEventsMax = 256;
constexpr int kRoundsMax = 64;  // before posted work gets its turn

}  // namespace

struct Reactor::Impl {
  using Executor = boost::asio::io_context::executor_type;
  using Set = boost::asio::posix::basic_stream_descriptor<Executor>;
  using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                  boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

  explicit Impl(LoopOwner& o) : owner(o) {}

  void wait() {
    set->async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
      if (!error) turn();
    });
  }

  void turn() {
    bool more = false;
    for (int round = 0; round < kRoundsMax && !stopping; ++round) {
      const int count = ::epoll_wait(epoll, events.data(), kEventsMax, 0);
      if (count <= 0 && !more) break;
      owner.before_batch();
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        static_cast<EventTarget*>(event.data.ptr)->on_events(event.events);
      }
      more = owner.after_batch();
      // Whoever posts waits: a busy loop must not let a connection lie between two routers.
      if (posted.load(std::memory_order_relaxed) != 0) break;
    }
    if (stopping) return;
    // With leftovers the set itself may be silent: come back by way of the queue.
    if (more)
      boost::asio::post(io, [this] { turn(); });
    else
      wait();
  }

  void tick() {
    timer->expires_at(timer->expiry() + std::chrono::milliseconds(TimerWheel::kTickMs));
    timer->async_wait([this](const boost::system::error_code& error) {
      if (error || stopping) return;
      owner.before_batch();
      owner.on_tick();
      if (owner.after_batch()) boost::asio::post(io, [this] { drain_ready(); });
      tick();
    });
  }

  void do_work(const std::function<void()>& work) {
    owner.before_batch();
    work();
    if (owner.after_batch()) boost::asio::post(io, [this] { drain_ready(); });
  }

  // Ready work that no event announces, e.g. found by a tick or by posted work.
  void drain_ready() {
    if (stopping) return;
    owner.before_batch();
    if (owner.after_batch()) boost::asio::post(io, [this] { drain_ready(); });
  }

  LoopOwner& owner;
  int epoll = -1;
  bool stopping = false;
  std::array<epoll_event, kEventsMax> events{};
  boost::asio::io_context io{1};
  std::optional<Set> set;
  std::optional<Timer> timer, later;
  std::atomic<int> posted{0};  // work that is in the queue
};

Reactor::Reactor(LoopOwner& owner) : impl_(std::make_unique<Impl>(owner)) {}
Reactor::~Reactor() = default;

bool Reactor::open() {
  impl_->epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (impl_->epoll < 0) return false;
  impl_->set.emplace(impl_->io.get_executor(), impl_->epoll);  // owns it from here
  impl_->timer.emplace(impl_->io.get_executor());
  impl_->later.emplace(impl_->io.get_executor());
  return true;
}

void Reactor::run() {
  impl_->timer->expires_after(std::chrono::milliseconds(0));
  impl_->wait();
  impl_->tick();
  impl_->io.run();
}

void Reactor::post(std::function<void()> work) {
  impl_->posted.fetch_add(1, std::memory_order_relaxed);
  boost::asio::post(impl_->io, [impl = impl_.get(), work = std::move(work)] {
    impl->posted.fetch_sub(1, std::memory_order_relaxed);
    impl->do_work(work);
  });
}

void Reactor::post_after(std::chrono::milliseconds delay, std::function<void()> work) {
  impl_->later->expires_after(delay);
  impl_->later->async_wait([impl = impl_.get(), work = std::move(work)](const boost::system::error_code& error) {
    if (!error && !impl->stopping) impl->do_work(work);
  });
}

void Reactor::ask_stop() {
  boost::asio::post(impl_->io, [impl = impl_.get()] {
    impl->stopping = true;
    impl->set->cancel();
    impl->timer->cancel();
    impl->later->cancel();
  });
}

bool Reactor::add(int fd, EventTarget& target) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &target;
  return ::epoll_ctl(impl_->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool Reactor::add_listener(int fd, EventTarget& target) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  event.data.ptr = &target;
  return ::epoll_ctl(impl_->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Reactor::remove(int fd) { ::epoll_ctl(impl_->epoll, EPOLL_CTL_DEL, fd, nullptr); }

}  // namespace flynn::router
