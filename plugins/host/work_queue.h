// WorkQueue: a few threads that run tasks; tasks of the same key run one after another, in order.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace flynn::host {

/// Thread: post() [any]; start() and stop() [control].
class WorkQueue {
 public:
  using Task = std::function<void()>;
  ~WorkQueue() { stop(); }

  void start(unsigned threads, const std::string& name);
  /// Dropped after stop() has begun.
  void post(const std::string& key, Task task);
  /// Ends what runs, drops what waits, joins.
  void stop();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable ready_changed_;
  std::map<std::string, std::deque<Task>> waiting_;  // a key with an entry here is in ready_ or being worked on
  std::deque<std::string> ready_;
  std::vector<std::thread> threads_;
  bool stopping_ = true;
};

}  // namespace flynn::host
