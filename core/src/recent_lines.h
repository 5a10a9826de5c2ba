// RecentLines: the last lines of the log of each slot, in memory, for whoever asks what a plugin said.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "flynn/sdk/json.h"

namespace flynn::core {

inline constexpr std::size_t kRecentLinesMax = 500, kRecentLineBytesMax = 4096;
/// Of all lines of a slot, with what it costs to keep them.
inline constexpr std::size_t kRecentBytesMax = 64u << 10;

/// Thread: [any].
class RecentLines {
 public:
  void add(std::string_view slot, std::string_view level, std::string_view text);
  /// {"at", "level", "text"}, oldest first, `limit` at most.
  json::array last(const std::string& slot, std::size_t limit) const;

 private:
  struct Line {
    std::string at, level, text;

    std::size_t bytes() const { return sizeof(Line) + at.size() + text.size(); }
  };
  struct Recent {
    std::deque<Line> lines;
    std::size_t bytes = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Recent, std::less<>> slots_;
};

}  // namespace flynn::core
