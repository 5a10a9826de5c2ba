// ControlThread: runs the lifecycle functions of one instance, one at a time, and lets the core stop waiting for one
// that hangs.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"

namespace flynn::core {

/// Thread: run() by one thread at a time.
class ControlThread {
 public:
  /// `tag`: see thread_tag.h; threads that the functions start inherit it.
  ControlThread(const std::string& name, std::uint32_t tag);
  /// Joins; if a function still hangs, the thread is left to it (the process keeps its code mapped).
  ~ControlThread();
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  /// What `function` returns, or deadline_exceeded; then the thread is stuck() until the function returns.
  Result<void> run(std::function<Result<void>()> function, Deadline deadline);
  bool stuck() const;

 private:
  // Shared with the thread, which may outlive this object when it is stuck.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::function<Result<void>()> task;
    Result<void> result;
    bool busy = false, ending = false;
  };
  static void serve(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace flynn::core
