// WorkQueue: a few threads that run tasks inside a gate; tasks of the same key run one after another, in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "flynn/sdk/gate.h"

namespace flynn::host {

/// Borrows the gate. Thread: post() [any]; the rest [control].
class WorkQueue {
 public:
  using Task = std::function<void()>;
  explicit WorkQueue(Gate& gate) : gate_(gate) {}
  ~WorkQueue() { stop(); }

  void start(unsigned threads, const std::string& name);
  /// Dropped while the gate is closed.
  void post(const std::string& key, Task task);
  /// The gate is closed and empty: drops what waits.
  void drop();
  /// Ends what runs, drops what waits, joins.
  void stop();

 private:
  void work();
  void run_next(std::unique_lock<std::mutex>& lock);

  Gate& gate_;
  std::mutex mutex_;  // before the gate's
  std::condition_variable ready_changed_;
  std::map<std::string, std::deque<Task>> waiting_;  // a key with an entry here is in ready_ or being worked on
  std::deque<std::string> ready_;
  std::vector<std::thread> threads_;
  bool stopping_ = true;
};

}  // namespace flynn::host
