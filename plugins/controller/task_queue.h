/// Work that outlives its request, done one after the other on one thread.
///
/// What is still waiting at stop() is dropped: whoever queues has written a mark in the store to resume from.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::controller {

class TaskQueue {
 public:
  explicit TaskQueue(Log& log) : log_(log) {}
  ~TaskQueue() { stop(); }

  void add(std::string what, std::function<void()> task);  // [any]
  void start();                                            // [control]
  void ask_stop();                                         // [control]
  void stop();                                             // [control]

 private:
  void run(const StopSignal& stop);

  Log& log_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::pair<std::string, std::function<void()>>> tasks_;
  Worker worker_;
};

}  // namespace flynn::controller
