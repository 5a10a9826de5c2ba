// Worker: one named, owned thread that can be asked to stop and is always joined.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "flynn/sdk/unique_fd.h"

namespace flynn {

/// Tells a thread to end. `fd()` becomes readable when asked, so it can stand in a poll set. Thread: [any].
class StopSignal {
 public:
  StopSignal();
  void ask();
  /// Undoes ask(), for an instance that is resumed. Only while no thread waits on it.
  void clear();
  bool asked() const;
  int fd() const { return event_.get(); }
  /// Waits at most `timeout_ms`; true when asked to stop. The way for a thread to pause.
  bool wait(int timeout_ms) const;

 private:
  UniqueFd event_;
};

/// Owns one thread. `body` gets the signal and returns soon after it is asked; an exception that leaves it ends the
/// thread, not the process, and is kept in error(). Thread: start and stop [control].
class Worker {
 public:
  Worker() = default;
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// `name`: at most 15 characters, seen in ps and in zombie reports.
  void start(const std::string& name, std::function<void(const StopSignal&)> body);
  /// Asks and joins; harmless when not started.
  void stop();
  void ask_stop() { signal_.ask(); }
  bool running() const { return thread_.joinable(); }
  /// What the body threw, empty if nothing. [stopped]
  const std::string& error() const { return error_; }

 private:
  StopSignal signal_;
  std::thread thread_;
  std::string error_;
};

}  // namespace flynn
