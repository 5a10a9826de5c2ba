// LayerPlan: what the file system of a layer is to hold, read from the tar that Docker makes of it. Decides, does
// nothing.
//
// Docker's whiteouts become those of overlayfs. As in the OCI image specification they hide what lies in layers below
// only, wherever they stand in the tar. Of two entries with one name the last counts. Everything has its place by a
// path that was checked, so nothing can leave the tree and nothing stands below a link.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/worker.h"

namespace flynn::images {

struct PlanLimits {
  std::int64_t content_bytes_max = std::int64_t{8} << 30;  // of all files together
  std::size_t entries_max = 500'000;
  std::size_t words_bytes_max = std::size_t{128} << 20;  // names, targets and attributes together
};

struct PlannedEntry {
  enum class Kind { folder, file, symlink, device, pipe, hard_link };
  Kind kind = Kind::folder;
  std::uint64_t number = 0;  // of the tar's entry that it comes from, for a file's content
  mode_t mode = 0755;        // permissions; of a device with its type
  std::int64_t uid = 0, gid = 0, mtime = 0, size = 0;
  dev_t device = 0;
  std::string target;  // of a link; of a hard link the path of a file, symlink or device in this plan
  std::vector<std::pair<std::string, std::string>> attributes;
  bool opaque = false;  // a folder that hides the one below it
};

class LayerPlan {
 public:
  /// Reads `tar` from where it stands. invalid_argument: no tar, or one that may not be taken, with the entry's name;
  /// unavailable: `stop` was asked; deadline_exceeded. Both are looked at every some entries.
  static Result<LayerPlan> read(int tar, const PlanLimits& limits, Deadline deadline, const StopSignal& stop);

  /// By path without a leading slash; a folder before what is in it.
  const std::map<std::string, PlannedEntry>& entries() const { return entries_; }

 private:
  friend class PlanReader;
  std::map<std::string, PlannedEntry> entries_;
};

/// "./a//b/" as "a/b", "" for the root. invalid_argument: it has "..", is too long, or more than 256 names deep.
Result<std::string> checked_path(std::string_view path);

}  // namespace flynn::images
