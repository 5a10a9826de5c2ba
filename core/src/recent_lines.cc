#include "recent_lines.h"

#include <algorithm>

#include "flynn/sdk/clock.h"

namespace flynn::core {

void RecentLines::add(std::string_view slot, std::string_view level, std::string_view text) {
  if (slot.empty()) return;
  Line line{now_rfc3339(), std::string(level), std::string(text.substr(0, kRecentLineBytesMax))};
  const std::lock_guard lock(mutex_);
  auto place = slots_.find(slot);
  if (place == slots_.end()) place = slots_.emplace(std::string(slot), Recent{}).first;
  auto& [lines, bytes] = place->second;
  bytes += line.bytes();
  lines.push_back(std::move(line));
  while (lines.size() > kRecentLinesMax || bytes > kRecentBytesMax) {
    bytes -= lines.front().bytes();
    lines.pop_front();
  }
}

json::array RecentLines::last(const std::string& slot, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  json::array out;
  const auto place = slots_.find(slot);
  if (place == slots_.end()) return out;
  const auto& lines = place->second.lines;
  for (std::size_t i = lines.size() - std::min(limit, lines.size()); i < lines.size(); ++i)
    out.push_back(json::object{{"at", lines[i].at}, {"level", lines[i].level}, {"text", lines[i].text}});
  return out;
}

}  // namespace flynn::core
