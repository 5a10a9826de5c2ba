// NDJSON streams: reading them with deadlines, and making the pair of ends.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn {

/// A connected, close-on-exec pair: first for the provider (non-blocking), second for the reply.
Result<std::pair<UniqueFd, UniqueFd>> make_stream();

/// Duplicates with close-on-exec. (R9)
Result<UniqueFd> duplicate(int fd);

/// Writes all of `text` to a blocking or non-blocking descriptor; deadline_exceeded when the reader does not read,
/// cancelled when it has gone. Never raises SIGPIPE on sockets.
Result<void> write_all(int fd, std::string_view text, Deadline deadline);

/// Reads one JSON object a line. Thread: one at a time.
class LineReader {
 public:
  enum class Status { line, end, timeout, stopped };

  explicit LineReader(UniqueFd fd, std::size_t line_bytes_max = 16u << 20) : fd_(std::move(fd)), max_(line_bytes_max) {}

  /// Waits for a line until the deadline or until `stop_fd` (-1: none) is readable. The line is in text().
  Result<Status> next(Deadline deadline, int stop_fd = -1);
  /// Valid until the next call of next().
  const std::string& text() const { return line_; }
  int fd() const { return fd_.get(); }

 private:
  bool take_line();

  UniqueFd fd_;
  std::size_t max_;
  std::string buffer_;
  std::size_t scanned_ = 0;
  std::string line_;
};

/// If `line` is `{"error":{…}}`, that error.
std::optional<Error> stream_error(const json::object& line);

}  // namespace flynn
