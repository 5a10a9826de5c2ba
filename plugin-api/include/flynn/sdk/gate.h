// Gate: work may begin while it is open; who closes it waits for what is inside, not for threads to end.
#pragma once

#include <condition_variable>
#include <mutex>

#include "flynn/sdk/clock.h"

namespace flynn {

/// For loops that one instance alone may run: activate() opens, quiesce() closes and waits, stop() joins the threads.
/// So a swap's pause holds no making or ending of threads. Closed at first. Thread: [any].
class Gate {
 public:
  /// The right to work; false when the gate was closed. It must not outlive the gate.
  class Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}
    Pass(Pass&& other) noexcept : gate_(other.gate_) { other.gate_ = nullptr; }
    Pass& operator=(Pass&&) = delete;
    ~Pass();
    explicit operator bool() const { return gate_ != nullptr; }

   private:
    Gate* gate_;
  };

  Pass enter();
  void open();
  /// Nothing begins any more; returns at once.
  void close();
  bool is_open() const;
  /// Until nobody is inside; false when the deadline came first. Whoever holds a pass must not call it.
  bool wait_empty(Deadline deadline = Deadline::none());

 private:
  mutable std::mutex mutex_;
  std::condition_variable left_;
  int inside_ = 0;
  bool open_ = false;
};

}  // namespace flynn
