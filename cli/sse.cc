#include "sse.h"

#include <utility>

namespace flynn::cli {
namespace {

/// The value of "name: value" or "name:value".
std::optional<std::string_view> field(std::string_view line, std::string_view name) {
  if (!line.starts_with(name)) return std::nullopt;
  line.remove_prefix(name.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  return line;
}

}  // namespace

std::optional<SseEvent> SseReader::push_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    if (pending_.data.empty() && pending_.event.empty()) return std::nullopt;
    return std::exchange(pending_, {});
  }
  // Flynn joins several data lines without a newline, unlike the standard.
  if (const auto data = field(line, "data:")) pending_.data += *data;
  if (const auto event = field(line, "event:")) pending_.event = *event;
  return std::nullopt;
}

}  // namespace flynn::cli
