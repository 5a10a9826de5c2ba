// A consistent copy of the store, taken while it is written.
#pragma once

#include "flynn/sdk/unique_fd.h"
#include "sqlite_journal.h"

namespace flynn::store {

struct Snapshot {
  Revision revision = 0;
  UniqueFd file;  // a SQLite database without a name; values stay sealed with the store's key
};

/// By SQLite's backup interface. Thread: [any].
Result<Snapshot> take_snapshot(const JournalOptions& options);

/// What a snapshot left behind when its process was killed.
void remove_stale_snapshots(const JournalOptions& options);

}  // namespace flynn::store
