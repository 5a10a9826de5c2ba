// ActiveRecord: which version of each slot is in force, durably, so that the node boots what the operator swapped in.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::core {

/// A version that ran: its staged file is kept.
struct RecordedVersion {
  std::string path, version, digest;
};

struct SlotRecord {
  std::optional<RecordedVersion> current, previous;
  /// A swap that was not committed when this was written: its presence at boot means that the host died during one.
  std::optional<RecordedVersion> pending;
  /// The version of a swap that has begun but has not been given any work: as with `pending`.
  std::string attempt;
  /// Digest of the configured file when `current` was swapped in: when the file changes, it wins again.
  std::string configured_digest;
  std::int64_t last_generation = 0;
  /// When the version with that digest brought the host down, in ms since 1970 (crash_loop.h).
  std::vector<std::int64_t> crashes;
  std::string crashed_digest;
  /// Set: it crashed too often and had no version to go back to. Why, and the digest that lifts it by changing.
  std::string quarantined_digest, quarantined;

  /// Configuration (JSON) set at run time, and the digest of the file's at that moment: when the file's changes, it
  /// wins again.
  std::string config, configured_config_digest;
};

/// Thread: one at a time (the node's lifecycle lock).
class ActiveRecord {
 public:
  /// Missing file: empty. A broken one is an error: better no boot than a wrong one.
  static Result<ActiveRecord> load(std::filesystem::path file);
  SlotRecord& slot(const std::string& name) { return slots_[name]; }
  /// Written whole and synced.
  Result<void> save() const;
  /// Removes staged files of the slot that no record names. Borrows nothing.
  void forget_other_files(const std::string& name, const std::filesystem::path& folder) const;

 private:
  std::filesystem::path file_;
  std::map<std::string, SlotRecord> slots_;
};

}  // namespace flynn::core
