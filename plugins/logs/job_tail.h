// JobTail: one job's log file, read as it grows.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app_log.h"
#include "cri_lines.h"

namespace flynn::logs {

struct TailedJob {
  std::string id, app_id, process_type, host_id, log_path;
  bool down = false;
};

/// Reads from where the app's log says this job was read to. conmon replaces the file when it gets too long: the old
/// one is read to its end first. Thread: one at a time.
class JobTail {
 public:
  /// Opens the log of the job with this id where its path is closed to us; `not_found` while there is none.
  using Borrow = std::function<Result<UniqueFd>(const std::string& job_id)>;
  JobTail(TailedJob job, std::shared_ptr<AppLog> log, Borrow borrow);

  enum class Progress { more, idle, finished };
  /// Stores what has come, at most one chunk. An error leaves it where it was: call it again later.
  Result<Progress> step();
  TailedJob& job() { return job_; }
  const std::shared_ptr<AppLog>& log() const { return log_; }

 private:
  Result<UniqueFd> open_path() const;
  Result<bool> open_file();
  Result<Progress> at_end();
  void rewind_to(const Mark& mark);

  TailedJob job_;
  std::shared_ptr<AppLog> log_;
  Borrow borrow_;
  UniqueFd file_;
  std::uint64_t inode_ = 0;
  std::uint64_t skip_until_ = 0;
  CriLines lines_;
};

}  // namespace flynn::logs
