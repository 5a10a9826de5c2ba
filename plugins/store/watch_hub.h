// WatchHub: one thread that sends every watch its revisions, from memory or, for old ones, from the journal.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/worker.h"
#include "history_reader.h"
#include "store_state.h"
#include "watcher.h"

namespace flynn::store {

/// No revision is skipped or sent twice. Borrows `state`. Thread: add and notify [any]; the rest [control].
class WatchHub {
 public:
  static Result<std::unique_ptr<WatchHub>> start(StoreState& state, std::unique_ptr<HistoryReader> reader);
  ~WatchHub() { stop(); }

  /// The reader's end. out_of_range when `first` was compacted, resource_exhausted with too many watches.
  Result<UniqueFd> add(KeyInterval interval, Revision first);
  /// Revisions were published.
  void notify();
  std::size_t watchers() const { return count_; }
  /// Sends what is published, then ends every stream in the ordinary way. Ends at the deadline in any case.
  void finish(Deadline deadline);
  void stop() { worker_.stop(); }

 private:
  WatchHub(StoreState& state, std::unique_ptr<HistoryReader> reader, UniqueFd epoll, UniqueFd wake)
      : state_(state), reader_(std::move(reader)), epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  void run(const StopSignal& stop);
  void wait();
  void forget(int fd);
  void forget_what_all_have();
  void adopt();
  void serve(Watcher& watcher);
  RevisionEventsPtr find(Watcher& watcher);
  void set_interest(Watcher& watcher);
  bool finished();

  StoreState& state_;
  std::unique_ptr<HistoryReader> reader_;
  UniqueFd epoll_, wake_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Watcher>> added_;       // mutex_
  bool finishing_ = false;                            // mutex_
  std::map<int, std::unique_ptr<Watcher>> watchers_;  // [thread]
  std::vector<RevisionEventsPtr> page_;               // [thread] the last piece read from the journal
  std::atomic<std::size_t> count_ = 0;
  std::atomic<bool> ended_ = false;
  Worker worker_;
};

}  // namespace flynn::store
