// WatchLoop: one thread that waits for the end of monitor processes and for timers.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"

namespace flynn::host {

/// Callbacks run on its thread and must be quick. Thread: start and stop [control], the rest [any].
class WatchLoop {
 public:
  using Callback = std::function<void()>;
  WatchLoop();
  ~WatchLoop() { stop(); }

  void start();
  void stop();
  /// Forgets all that it watches.
  void clear();
  /// `on_end` runs once, when the process of `pidfd` has ended.
  void watch_process(const std::string& key, UniqueFd pidfd, Callback on_end);
  /// Replaces a timer of the same key and name.
  void set_timer(const std::string& key, const std::string& name, std::chrono::milliseconds after, Callback on_time);
  /// Drops the process and all timers of the key.
  void forget(const std::string& key);

 private:
  using Clock = std::chrono::steady_clock;
  struct Process {
    UniqueFd pidfd;
    Callback on_end;
  };
  struct Timer {
    Clock::time_point at;
    Callback on_time;
  };
  void run(const StopSignal& stop);
  void wake();
  int next_timeout_ms();
  void run_timers();
  void take_ended(int fd);

  std::mutex mutex_;
  std::map<std::string, Process> processes_;
  std::map<std::pair<std::string, std::string>, Timer> timers_;
  UniqueFd wake_;
  Worker worker_;
};

}  // namespace flynn::host
