// AppLog: the stored log of one app.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "flynn/sdk/unique_fd.h"
#include "log_message.h"

namespace flynn::logs {

struct AppLogLimits {
  std::uint64_t segment_bytes = 1 << 20;
  std::uint64_t total_bytes = 16 << 20;
};

/// A log is one endless run of lines; a position is the byte offset in it. Segment files are named by the offset that
/// they begin at; the oldest go when the whole grows beyond its limit. Thread: [any].
class AppLog {
 public:
  /// Cuts off a last line that was not written to its end, and learns from the lines how far each job was read.
  static Result<std::unique_ptr<AppLog>> open(const std::string& folder, AppLogLimits limits);

  /// `lines`: whole lines, of any number. They are stored together or, on a full disk, not at all.
  Result<void> append(std::string_view lines);
  /// As append; `mark` is remembered for the job.
  Result<void> append_of_job(std::string_view lines, const std::string& job_id, const Mark& mark);
  std::optional<Mark> mark_of_job(const std::string& job_id) const;
  void forget_job(const std::string& job_id);

  std::uint64_t begin() const;
  std::uint64_t end() const;
  std::uint64_t bytes() const { return end() - begin(); }
  /// Up to `limit` bytes from `position`; an older position than begin() is moved there. Empty at the end.
  std::string read(std::uint64_t& position, std::size_t limit) const;
  /// Where the last `lines` lines that pass begin.
  std::uint64_t position_of_last(std::int64_t lines, const Filter& filter) const;
  /// Removes everything; later appends are dropped.
  void erase();
  /// The files are another's from now on: nothing is read any more, appends are `unavailable`.
  void close();
  /// Erased or closed: nothing comes any more.
  bool erased() const;

 private:
  struct Segment {
    std::uint64_t base = 0, size = 0;
  };

  explicit AppLog(std::string folder, AppLogLimits limits) : folder_(std::move(folder)), limits_(limits) {}
  Result<void> load();
  void learn_marks(const std::string& text);
  Result<void> write(std::string_view lines);
  Result<void> new_segment();
  void drop_oldest();
  void save_marks() const;
  std::string path_of(const Segment& segment) const;
  std::string read_locked(std::uint64_t& position, std::size_t limit) const;

  const std::string folder_;
  const AppLogLimits limits_;
  mutable std::mutex mutex_;
  std::vector<Segment> segments_;
  UniqueFd last_;  // the last segment, for appending
  std::map<std::string, Mark> marks_;
  bool erased_ = false, closed_ = false;
};

}  // namespace flynn::logs
