// ControlThread: runs the lifecycle functions of one instance, one at a time, and lets the core stop waiting for one
// that hangs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"

namespace flynn::core {

/// One function of a row and how long it may take. `body` must own what it uses: it may go on after nobody waits.
struct ControlStep {
  const char* name;
  std::function<Result<void>()> body;
  std::chrono::nanoseconds limit;
};

/// What became of a row of steps; the ones after the first that fails are not begun.
struct ControlOutcome {
  std::vector<double> ms;  ///< of each step that was begun; the last is the one that failed, if any
  Result<void> result;     ///< deadline_exceeded: the last step has not returned
};

/// Thread: run() by one thread at a time.
class ControlThread {
 public:
  /// `tag`: see thread_tag.h; threads that the functions start inherit it.
  ControlThread(const std::string& name, std::uint32_t tag);
  /// Joins; if a function still hangs, the thread is left to it (the process keeps its code mapped).
  ~ControlThread();
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  /// What `function` returns, or deadline_exceeded; then the thread is stuck() until the function returns. One given to
  /// a thread that is stuck waits a second at most (and not past its deadline) for that, then it is refused:
  /// unavailable.
  Result<void> run(std::function<Result<void>()> function, Deadline deadline);
  /// One after the other with no change of threads in between, for a caller who is waited for himself: he looks out for
  /// the end without sleeping at first. `begun` is told, by the caller's thread, of a step that takes long.
  ControlOutcome run_row(std::vector<ControlStep> steps, const std::function<void(std::size_t step)>& begun);
  bool stuck() const;
  /// Sends the thread a signal: what hangs on it is to blame for what follows.
  void signal(int number);

 private:
  using Clock = std::chrono::steady_clock;
  // Shared with the thread, which may outlive this object when it is stuck.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<ControlStep> steps;  // given, not yet taken
    std::vector<double> ms;
    Clock::time_point step_began;
    Result<void> result;
    std::atomic<bool> busy = false;
    bool ending = false, given_up = false;
  };
  static void serve(const std::shared_ptr<State>& state);
  static void run_steps(State& state, std::unique_lock<std::mutex>& lock);

  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace flynn::core
