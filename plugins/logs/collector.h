// Collector: follows the log files of all jobs of this node.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "flynn/sdk/store.h"
#include "job_tail.h"
#include "log_store.h"

namespace flynn::logs {

/// Learns from jobs/status/ which files there are and from apps/ which apps are gone. inotify wakes it; a look at every
/// file each second covers what inotify misses (its limits, a file that appears later). Borrows everything given.
/// Thread: start, stop [control]; its own thread collects.
class Collector {
 public:
  Collector(Door& door, Log& log, LogStore& store, std::function<void()> on_stored);
  ~Collector() { stop(); }

  void start();
  void ask_stop();
  void stop();

 private:
  struct Tailed {
    std::unique_ptr<JobTail> tail;
    int watch = -1;
    std::string told_error;
  };

  void on_status(const std::string& key, const json::value* value);
  void on_statuses(const RangeResult& all);
  void on_apps(const RangeResult& all);
  void on_app(const StoreEvent& event);
  void delete_logs(const std::string& app_id);
  bool may_collect(const TailedJob& job) const;
  void run(const StopSignal& stop);
  void take_changes();
  void open_tail(const TailedJob& job);
  Result<UniqueFd> borrow(const std::string& job_id);
  bool step_all(const StopSignal& stop);
  bool step(Tailed& tailed);
  void forget(const std::string& job_id);

  Door& door_;
  Log& log_;
  LogStore& store_;
  std::function<void()> on_stored_;
  StopSignal wake_;
  std::mutex mutex_;
  std::map<std::string, TailedJob> changed_;  // by job id, from the mirror to the thread
  std::set<std::string> gone_;
  std::set<std::string> known_apps_;
  bool apps_read_ = false;
  UniqueFd inotify_;
  std::map<std::string, Tailed> tails_;  // the thread's own, as the next
  std::set<std::string> finished_;
  StoreMirror statuses_, apps_;
  Worker worker_;
};

}  // namespace flynn::logs
