// CellMirror: a CellState that follows the store.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "cell_state.h"

namespace flynn::scheduler {

/// One StoreMirror thread for each prefix feeds one state. Borrows door and log. Thread: start, stop [control], else
/// [any].
class CellMirror {
 public:
  /// `on_change` runs after each change, on a mirror's thread, without the lock.
  CellMirror(Door& door, Log& log, std::function<void()> on_change);
  ~CellMirror();

  void start();
  void stop();
  /// Every prefix has been read once.
  bool complete() const;
  /// Until the state holds what the jobs' keys were at `revision`. False when the deadline passed.
  bool wait_for_jobs(std::int64_t revision, Deadline deadline);
  /// Reads the jobs directly, when waiting for the watch was in vain.
  Result<void> reread_jobs();
  /// Reads the app, its release and artifacts past the mirror when it has not got them yet: a caller may have written
  /// them a moment ago.
  void read_through(const json::object& request);

  /// `function(CellState&)` under the lock; short, and without calls.
  template <typename Function>
  auto with_state(Function function) {
    const std::lock_guard lock(mutex_);
    return function(state_);
  }

 private:
  void on_snapshot(std::string_view prefix, const RangeResult& all);
  void on_events(std::string_view prefix, std::int64_t revision, const std::vector<StoreEvent>& events);
  void fetch(const std::string& key);

  Door& door_;
  Log& log_;
  std::function<void()> on_change_;
  mutable std::mutex mutex_;
  std::condition_variable jobs_moved_;
  CellState state_;
  std::set<std::string, std::less<>> read_;
  std::int64_t jobs_revision_ = 0;
  std::vector<std::unique_ptr<StoreMirror>> mirrors_;
};

}  // namespace flynn::scheduler
