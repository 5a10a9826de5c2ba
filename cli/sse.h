/// Server-sent events, line by line, as Flynn's controller writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flynn::cli {

struct SseEvent {
  std::string event;  // empty unless the server names one ("error")
  std::string data;
};

/// Takes lines without their newline. Comments (keep-alives), ids and blank lines without data yield nothing.
class SseReader {
 public:
  /// The event that this line completes.
  std::optional<SseEvent> push_line(std::string_view line);

 private:
  SseEvent pending_;
};

}  // namespace flynn::cli
