/// Times and durations as people read them, in the words of Flynn's client.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace flynn::cli {

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// RFC 3339 with up to nine fraction digits and `Z` or an offset.
std::optional<WallTime> parse_time(std::string_view text);

/// "Less than a second", "4 seconds", "About a minute", "4 minutes", "About an hour", … "2 years".
std::string human_duration(std::chrono::seconds duration);
/// human_duration(now - then) + " ago"; empty for a time that can't be read.
std::string human_ago(std::string_view then, WallTime now);

/// "850ms", "1.2s", "2m3.5s"
std::string short_duration(std::chrono::milliseconds duration);

/// "60s", "500ms", "2m", "1h" or plain seconds, at most a day.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "2026-01-31T12:00:00.000123Z" (microseconds) and "12:00:00.123" (UTC)
std::string timestamp_text(WallTime time);
std::string clock_text(WallTime time);

WallTime wall_now();

}  // namespace flynn::cli
