// CriLines: the log file of a container as conmon writes it, line by line.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "log_message.h"

namespace flynn::logs {

struct CriLine {
  std::int64_t timestamp_us = 0;
  std::string stream, msg;
};

/// "TIMESTAMP stdout|stderr F|P TEXT"; P lines are joined to the next F of the same stream, cut at kMessageBytesMax. A
/// line of another form is passed on as it is: it is somebody's only trace. Pure.
class CriLines {
 public:
  using Found = std::function<void(const CriLine& line, std::uint64_t end, std::uint64_t resume)>;

  /// `offset`: of the next byte in the file.
  explicit CriLines(std::uint64_t offset = 0) : offset_(offset) {}
  /// `found` for each message that is complete: with the offsets after it and to resume from.
  void feed(std::string_view bytes, const Found& found);
  std::uint64_t offset() const { return offset_ + buffer_.size(); }

 private:
  struct Open {
    bool is_open = false;
    std::uint64_t begin = 0;
    CriLine line;
  };
  void take(std::string_view line, std::uint64_t begin, std::uint64_t end, const Found& found);
  std::uint64_t resume_after(std::uint64_t end) const;

  std::uint64_t offset_;      // of buffer_[0]
  std::string buffer_;        // a line that has no end yet
  std::array<Open, 2> open_;  // stdout, stderr
};

/// Microseconds since 1970 of "2026-01-31T12:00:00.123456789Z" or "…+01:00"; 0 when it is none.
std::int64_t time_of_cri(std::string_view text);

}  // namespace flynn::logs
