// Writer: the one thread that changes the store. It takes all writes that wait, commits them together, then answers
// all.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/host.h"
#include "write_batch.h"

namespace flynn::store {

/// Borrows all it is given. Thread: submit [any]; the rest [control].
class Writer {
 public:
  struct Options {
    Revision history_revisions = kHistoryRevisionsDefault;
    Revision purged_revision = 0;
    std::function<void()> on_commit;        // revisions were published
    std::function<void(int)> on_wal_pages;  // the WAL's length after a commit
  };

  Writer(StoreState& state, SqliteJournal& journal, Log& log, Options options);
  ~Writer() { stop(); }

  void start();
  /// From here on leases expire.
  void activate();
  /// Finishes what was submitted; later writes are answered `unavailable`. deadline_exceeded when the disk hangs.
  Result<void> quiesce();
  void resume();
  void stop();

  /// Blocks until durable. An error changed nothing, but for deadline_exceeded: then the effect is unknown.
  Result<Applied> submit(WriteWork work, Deadline deadline);
  /// The last commit's error, while commits fail.
  Result<void> health() const;

 private:
  struct Pending {
    WriteWork work;
    std::condition_variable answered;
    std::optional<Result<Applied>> answer;  // mutex_
  };
  using PendingPtr = std::shared_ptr<Pending>;
  using Clock = LeaseClock;

  void run();
  std::vector<PendingPtr> take();
  void add_expired(std::vector<PendingPtr>& work);
  void process(const std::vector<PendingPtr>& work);
  void plan_housekeeping(WriteBatch& batch) const;
  void committed(WriteBatch& batch);
  void failed(const Error& error);
  void answer(const std::vector<PendingPtr>& work, std::vector<Result<Applied>> answers);
  Clock::time_point next_wake();
  bool purge_due() const { return purged_revision_ < state_.compact_revision.load(); }

  StoreState& state_;
  SqliteJournal& journal_;
  Log& log_;
  const Options options_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<PendingPtr> queue_;
  bool accepting_ = true, active_ = false, stopping_ = false, busy_ = false;
  std::optional<Error> failure_;  // mutex_
  Clock::time_point retry_at_{};  // [thread] no housekeeping before this, after a failure
  Revision purged_revision_ = 0;  // [thread]
  std::thread thread_;
};

}  // namespace flynn::store
