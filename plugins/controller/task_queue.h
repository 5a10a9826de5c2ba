/// Work that outlives its request, done one after the other on one thread, inside the gate.
///
/// What is still waiting when the gate closes is dropped: whoever queues has written a mark in the store to resume
/// from.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "flynn/sdk/gate.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::controller {

/// Borrows both.
class TaskQueue {
 public:
  TaskQueue(Log& log, Gate& gate) : log_(log), gate_(gate) {}
  ~TaskQueue() { stop(); }

  void add(std::string what, std::function<void()> task);  // [any]
  void start();                                            // [control]
  /// What waits.
  void drop();  // [any]
  void stop();  // [control]

 private:
  void run(const StopSignal& stop);

  Log& log_;
  Gate& gate_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::pair<std::string, std::function<void()>>> tasks_;
  Worker worker_;
};

}  // namespace flynn::controller
