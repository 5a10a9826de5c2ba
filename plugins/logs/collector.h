// Collector: follows the log files of all jobs of this node.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "flynn/sdk/gate.h"
#include "flynn/sdk/store.h"
#include "job_tail.h"
#include "log_store.h"

namespace flynn::logs {

/// Learns from jobs/status/ which files there are and from apps/ which apps are gone. inotify wakes it; a look at every
/// file each second covers what inotify misses (its limits, a file that appears later). Borrows everything given.
/// Its threads begin in prepare() and act from activate() to quiesce(): meanwhile they only learn.
/// Thread: all [control]; its own thread collects.
class Collector {
 public:
  Collector(Door& door, Log& log, LogStore& store, std::function<void()> on_stored);
  ~Collector() { stop(); }

  void prepare();
  void activate();
  /// close(), and waits for what is inside: no log is changed any more.
  void quiesce();
  /// Begins quiesce().
  void close() { gate_.close(); }
  /// After quiesce(): begins anew with what the logs say, for another instance has read on meanwhile.
  void forget_progress();
  void stop();

 private:
  struct Tailed {
    std::unique_ptr<JobTail> tail;
    int watch = -1;
    std::string told_error;
    bool gone = false;  // its status: after its last line nobody asks for it again
  };
  /// A status that went, and the job when it was not looked at before.
  using Gone = std::map<std::string, std::optional<TailedJob>>;

  void on_status(const std::string& key, const json::value* value);
  void on_statuses(const RangeResult& all);
  void on_apps(const RangeResult& all);
  void on_app(const StoreEvent& event);
  bool may_collect(const TailedJob& job) const;
  void run(const StopSignal& stop);
  bool round(const StopSignal& stop, const std::set<std::string>& strange);
  std::set<std::string> logs_without_app();
  void delete_logs(const std::set<std::string>& strange);
  void take_changes();
  void take_gone(const Gone& gone);
  void read_events();
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
  Gate gate_;
  std::mutex mutex_;
  std::map<std::string, TailedJob> jobs_;  // by id, all that have a status
  std::set<std::string> changed_;          // of them, from the mirror to the thread
  Gone gone_;
  std::set<std::string> known_apps_, erased_apps_;
  bool apps_read_ = false, compare_apps_ = false;
  UniqueFd inotify_;
  std::map<std::string, Tailed> tails_;  // of who is inside the gate, as the next
  std::set<std::string> finished_;
  StoreMirror statuses_, apps_;
  Worker worker_;
};

}  // namespace flynn::logs
