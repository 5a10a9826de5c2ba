// Messages of an app's log, and the lines they are stored and sent as.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "flynn/sdk/json.h"

namespace flynn::logs {

inline constexpr std::size_t kMessageBytesMax = 64 * 1024;

struct Message {
  std::string app_id, source = "app", stream, process_type, job_id, host_id, msg;
  std::int64_t timestamp_us = 0;
};

/// How far a job's own file had been read when a message of it was stored. It lies in the same line as the message, so
/// that after a crash neither is there without the other.
struct Mark {
  std::uint64_t inode = 0;
  std::uint64_t end = 0;     // after the message
  std::uint64_t resume = 0;  // where to read on: before `end` when a line of the other stream was still open
};

/// Always valid UTF-8 of at most kMessageBytesMax bytes: what is not becomes U+FFFD, what is longer is cut.
std::string clean_text(std::string_view bytes);

/// "{…}\n", whatever is in the message.
std::string line_of(const Message& message, const std::optional<Mark>& mark = std::nullopt);
/// The stored line as readers get it: without the mark. `line` without its newline.
std::string_view without_mark(std::string_view line, std::string& storage);
std::optional<Mark> mark_of(const json::object& stored);

/// What a reader asked for. Empty members let everything pass.
struct Filter {
  std::optional<std::string> job_id, process_type, source;
  std::set<std::string, std::less<>> streams;

  bool passes(std::string_view line) const;
};

/// A member of Append's messages. invalid_argument names what is wrong.
Result<Message> message_of(const json::object& document, const std::string& app_id);
/// App ids become folder names: [A-Za-z0-9-]{1,64}.
bool is_app_id(std::string_view text);
std::int64_t now_us();

}  // namespace flynn::logs
