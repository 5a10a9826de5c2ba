// Store: flynn.store/1 as an object: documents in, documents and streams out. The plugin is a thin shell around it.
#pragma once

#include <memory>

#include "checkpointer.h"
#include "flynn/sdk/call.h"
#include "flynn/sdk/host.h"
#include "transaction.h"
#include "watch_hub.h"
#include "writer.h"

namespace flynn::store {

struct StoreOptions {
  JournalOptions journal;
  Revision history_revisions = kHistoryRevisionsDefault;
};

/// Lifecycle as in flynn/plugin.h, [control]; call is [any].
class Store {
 public:
  /// Opens and loads. Leases do not expire before activate().
  static Result<std::unique_ptr<Store>> open(const StoreOptions& options, Log& log);
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
  Store(StoreOptions options, std::unique_ptr<SqliteJournal> journal, JournalState loaded);
  Result<void> start(Log& log, Revision purged_revision);

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
