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

/// Thread: [any].
class RecentLines {
 public:
  void add(std::string_view slot, std::string_view level, std::string_view text);
  /// {"at", "level", "text"}, oldest first, `limit` at most.
  json::array last(const std::string& slot, std::size_t limit) const;

 private:
  struct Line {
    std::string at, level, text;
  };
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<Line>, std::less<>> slots_;
};

}  // namespace flynn::core
