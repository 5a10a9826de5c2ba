// The event loop of one thread: an edge-triggered epoll set of our own, nested in a Boost.Asio io_context.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace flynn::router {

/// Owner of a registered descriptor.
class EventTarget {
 public:
  virtual void on_events(std::uint32_t epoll_events) = 0;

 protected:
  ~EventTarget() = default;
};

/// What a loop does around its events.
class LoopOwner {
 public:
  virtual void before_batch() = 0;
  /// True if something is ready without a further event.
  virtual bool after_batch() = 0;
  virtual void on_tick() = 0;

 protected:
  ~LoopOwner() = default;
};

/// Asio watches a single descriptor, the epoll set, and gives us posted work and the tick. Data sockets are registered
/// once, edge-triggered, and never touch Asio: its per-read epoll_ctl and its speculative reads cost up to a sixth of a
/// small request. While events keep coming the set is read again without going back to Asio.
/// Thread: construct and destroy [stopped]; run, add, remove [loop]; post and ask_stop [any].
class Reactor {
 public:
  explicit Reactor(LoopOwner& owner);
  ~Reactor();

  /// False when the kernel refused what the loop needs; errno says why.
  bool open();
  /// Returns after ask_stop().
  void run();
  void post(std::function<void()> work);
  /// Once, after `delay`; a second call before that replaces the first. [loop]
  void post_after(std::chrono::milliseconds delay, std::function<void()> work);
  void ask_stop();

  /// Registers for reading, writing and hang-ups, edge-triggered.
  bool add(int fd, EventTarget& target);
  /// Registers a listening socket, level-triggered, waking one thread a connection.
  bool add_listener(int fd, EventTarget& target);
  /// Needed before close() only where other duplicates of the socket live on: listeners.
  void remove(int fd);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flynn::router
