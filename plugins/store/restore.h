// Restoring: a stopped store made anew from the archive of a cluster (plugin-api/backup).
#pragma once

#include <string>

#include "backup/archive_format.h"
#include "flynn/sdk/result.h"
#include "key_space.h"

namespace flynn::store {

struct RestoreOptions {
  std::string archive;    // a regular file
  std::string folder;     // the store's data folder; made when absent
  std::string key_file;   // where the store will look for its key; empty: store.key beside the folder
  std::string given_key;  // the key that the archive's store was written with; empty: key_file has it
  enum class State { refuse, set_aside } state = State::refuse;  // when the folder has a store, or there is another key
  enum class Extent { check, restore } extent = Extent::restore;
};

struct Restored {
  backup::Manifest manifest;
  Revision revision = 0;
  std::int64_t keys = 0;
  std::string set_aside;  // where the store that was there is now; empty when there was none
};

/// Reads all of the archive, opens every value with the key, and only then puts the new store in place by a rename. On
/// any error folder and key are what they were.
/// failed_precondition: the folder has a store, one that runs, or the key is absent or another; invalid_argument: the
/// archive is not whole. Thread: one at a time per folder.
Result<Restored> restore_store(const RestoreOptions& options);

}  // namespace flynn::store
