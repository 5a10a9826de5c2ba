// DataLock: one flynn-host at a time works on a data_dir.
#pragma once

#include <filesystem>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

inline constexpr const char* kDataLockVariable = "FLYNN_DATA_LOCK";

/// Held by the keeper and by its host process, so that a host that is still ending after its keeper was killed is not
/// joined by another. The kernel gives it up with the last of them. Thread: [startup].
class DataLock {
 public:
  /// `conflict` names who has it. A disk that takes no lock file is no reason to stay down: nothing is locked then.
  static Result<DataLock> acquire(const std::filesystem::path& data_dir);
  /// In the child between fork and exec: the host inherits it by the variable's number.
  void keep_over_exec() const;
  /// In the host: takes what the keeper left, so that no program of a plugin inherits it.
  static DataLock inherited();
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace flynn::core
