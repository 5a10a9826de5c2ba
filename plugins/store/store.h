// Store: flynn.store/1 as an object: documents in, documents and streams out. The plugin is a thin shell around it.
#pragma once

#include <memory>

#include "checkpointer.h"
#include "flynn/sdk/call.h"
#include "flynn/sdk/host.h"
#include "history_reader.h"
#include "transaction.h"
#include "watch_hub.h"
#include "writer.h"

namespace flynn::store {

struct StoreOptions {
  JournalOptions journal;
  Revision history_revisions = kHistoryRevisionsDefault;
};

/// What a store can know before it may write. Empty: nothing was there, or it could not be read.
struct ReadAhead {
  std::unique_ptr<SqliteJournal> journal;
  JournalState state;
  std::unique_ptr<Checkpointer> checkpointer;
  std::unique_ptr<HistoryReader> reader;
};

/// Lifecycle as in flynn/plugin.h, [control]; call is [any].
class Store {
 public:
  /// Loads while another instance writes: what is left for open() is what changed since, and the pause of a swap with
  /// it, however large the store is. An error is open()'s to tell.
  static ReadAhead read_ahead(const StoreOptions& options);
  /// Opens and loads. Leases do not expire before activate().
  static Result<std::unique_ptr<Store>> open(const StoreOptions& options, Log& log, ReadAhead ahead = {});
  ~Store();

  void activate();
  /// Commits what waits and lets another instance open the same store.
  Result<void> quiesce();
  Result<void> resume();
  /// Sends every watch what is published, then ends them.
  void drain(Deadline deadline);
  void stop();
  Result<void> health() const { return writer_->health(); }

  Result<Reply> call(std::string_view method, const json::object& body, Deadline deadline);

 private:
  Store(StoreOptions options, ReadAhead loaded);
  Result<void> start(Log& log, Revision purged_revision, std::unique_ptr<HistoryReader> reader);

  Result<Reply> get(const json::object& body);
  Result<Reply> range(const json::object& body);
  Result<Reply> txn(const json::object& body, Deadline deadline);
  Result<Reply> watch(const json::object& body);
  Result<Reply> lease_grant(const json::object& body, Deadline deadline);
  Result<Reply> lease_keep_alive(const json::object& body);
  Result<Reply> lease_revoke(const json::object& body, Deadline deadline);
  Result<Reply> compact(const json::object& body, Deadline deadline);
  Result<Reply> snapshot();
  Result<Reply> status();

  const StoreOptions options_;
  std::unique_ptr<SqliteJournal> journal_;
  StoreState state_;
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<WatchHub> hub_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace flynn::store
