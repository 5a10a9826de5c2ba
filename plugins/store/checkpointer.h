// Checkpointer: copies the WAL into the database in a thread of its own, so that no commit waits for it.
#pragma once

#include <memory>

#include "flynn/sdk/worker.h"
#include "sqlite_journal.h"

namespace flynn::store {

/// Thread: start and stop [control], note_wal_pages [any].
class Checkpointer {
 public:
  static Result<std::unique_ptr<Checkpointer>> start(const JournalOptions& options);
  ~Checkpointer() { worker_.stop(); }

  /// Begins a checkpoint when the WAL has grown enough.
  void note_wal_pages(int pages);

 private:
  Checkpointer(Database database, UniqueFd wake) : database_(std::move(database)), wake_(std::move(wake)) {}
  void run(const StopSignal& stop);

  Database database_;
  UniqueFd wake_;
  Worker worker_;
};

}  // namespace flynn::store
