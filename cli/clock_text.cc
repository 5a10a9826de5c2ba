#include "clock_text.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace flynn::cli {
namespace {

using std::chrono::microseconds;

bool read_number(std::string_view text, std::size_t at, std::size_t digits, int& out) {
  if (at + digits > text.size()) return false;
  const char* first = text.data() + at;
  const auto [end, code] = std::from_chars(first, first + digits, out);
  return code == std::errc() && end == first + digits;
}

/// The fraction's microseconds; moves `at` behind it.
long long read_fraction(std::string_view text, std::size_t& at) {
  if (at >= text.size() || text[at] != '.') return 0;
  long long micros = 0;
  long long unit = 100000;
  for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    micros += (text[at] - '0') * unit;
    unit /= 10;
  }
  return micros;
}

std::optional<int> read_zone_minutes(std::string_view zone) {
  if (zone == "Z" || zone == "z") return 0;
  int hours = 0;
  int minutes = 0;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-')) return std::nullopt;
  if (!read_number(zone, 1, 2, hours) || !read_number(zone, 4, 2, minutes)) return std::nullopt;
  const int total = hours * 60 + minutes;
  return zone[0] == '-' ? -total : total;
}

std::tm utc_fields(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm fields{};
  gmtime_r(&seconds, &fields);
  return fields;
}

long long fraction_of(WallTime time) { return (time - std::chrono::floor<std::chrono::seconds>(time)).count(); }

std::string plural(long long count, std::string_view unit) { return std::to_string(count) + " " + std::string(unit); }

}  // namespace

std::optional<WallTime> parse_time(std::string_view text) {
  std::tm fields{};
  if (text.size() < 20 || !read_number(text, 0, 4, fields.tm_year) || !read_number(text, 5, 2, fields.tm_mon) ||
      !read_number(text, 8, 2, fields.tm_mday) || !read_number(text, 11, 2, fields.tm_hour) ||
      !read_number(text, 14, 2, fields.tm_min) || !read_number(text, 17, 2, fields.tm_sec)) {
    return std::nullopt;
  }
  fields.tm_year -= 1900;
  fields.tm_mon -= 1;
  std::size_t at = 19;
  const long long micros = read_fraction(text, at);
  const auto zone = read_zone_minutes(text.substr(at));
  if (!zone) return std::nullopt;
  const std::time_t seconds = timegm(&fields) - static_cast<std::time_t>(*zone) * 60;
  return WallTime(std::chrono::seconds(seconds) + microseconds(micros));
}

std::string human_duration(std::chrono::seconds duration) {
  const long long seconds = duration.count();
  const long long minutes = seconds / 60;
  const long long hours = minutes / 60;
  if (seconds < 1) return "Less than a second";
  if (seconds < 60) return plural(seconds, seconds == 1 ? "second" : "seconds");
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return plural(minutes, "minutes");
  if (hours == 1) return "About an hour";
  if (hours < 48) return plural(hours, "hours");
  if (hours < 24 * 7 * 2) return plural(hours / 24, "days");
  if (hours < 24 * 30 * 3) return plural(hours / 24 / 7, "weeks");
  if (hours < 24 * 365 * 2) return plural(hours / 24 / 30, "months");
  return plural(hours / 24 / 365, "years");
}

std::string human_ago(std::string_view then, WallTime now) {
  const auto time = parse_time(then);
  if (!time) return "";
  return human_duration(std::chrono::floor<std::chrono::seconds>(now - *time)) + " ago";
}

std::string short_duration(std::chrono::milliseconds duration) {
  const long long ms = duration.count();
  if (ms < 1000) return std::to_string(ms) + "ms";
  std::array<char, 48> text{};
  if (ms < 60000) {
    std::snprintf(text.data(), text.size(), "%.1fs", static_cast<double>(ms) / 1000);
  } else {
    std::snprintf(text.data(), text.size(), "%lldm%.1fs", ms / 60000, static_cast<double>(ms % 60000) / 1000);
  }
  return text.data();
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr long long kDayMs = 86'400'000;
  long long count = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const long long factor = unit == "ms"                  ? 1
                           : unit == "s" || unit.empty() ? 1000
                           : unit == "m"                 ? 60'000
                           : unit == "h"                 ? 3'600'000
                                                         : 0;
  if (code != std::errc() || factor == 0 || count < 0 || count > kDayMs / factor) return std::nullopt;
  return std::chrono::milliseconds(count * factor);
}

std::string timestamp_text(WallTime time) {
  const std::tm fields = utc_fields(time);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%06lldZ", fields.tm_year + 1900,
                fields.tm_mon + 1, fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec, fraction_of(time));
  return text.data();
}

std::string clock_text(WallTime time) {
  const std::tm fields = utc_fields(time);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%02d:%02d:%02d.%03lld", fields.tm_hour, fields.tm_min, fields.tm_sec,
                fraction_of(time) / 1000);
  return text.data();
}

WallTime wall_now() { return std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now()); }

}  // namespace flynn::cli
