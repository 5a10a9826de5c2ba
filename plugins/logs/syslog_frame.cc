#include "syslog_frame.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace flynn::logs {
namespace {

constexpr std::string_view kStdout = "<14>1 ", kStderr = "<11>1 ";  // facility user (1), severity 6 and 3
// 32473 is the enterprise number that RFC 5612 keeps for documentation: Flynn has none of its own.
constexpr std::string_view kElement = "[flynn@32473";
// RFC 5424, section 6.
constexpr std::size_t kHostnameMax = 255, kAppNameMax = 48, kProcidMax = 128, kMsgidMax = 32;

std::string field(std::string_view text, std::size_t size_max) {
  if (text.empty()) return "-";
  std::string printable(text.substr(0, size_max));
  for (char& c : printable)
    if (c < 33 || c > 126) c = '_';
  return printable;
}

std::string timestamp(std::int64_t us) {
  using namespace std::chrono;
  if (us <= 0) return "-";
  const sys_time<microseconds> time{microseconds(us)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  if (date.year() > year(9999)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

std::string procid(const Message& message) {
  const bool both = !message.process_type.empty() && !message.job_id.empty();
  return field(message.process_type + (both ? "." : "") + message.job_id, kProcidMax);
}

std::string parameter(std::string_view name, std::string_view value) {
  std::string text = " " + std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '"' || c == '\\' || c == ']') text += '\\';
    text += c;
  }
  return text + '"';
}

std::string structured_data(const Message& message, std::string_view app_name) {
  return std::string(kElement) + parameter("app", app_name) + parameter("job", message.job_id) +
         parameter("type", message.process_type) + "]";
}

std::string framed(std::string text, SyslogFormat format) {
  if (format == SyslogFormat::octet_counted) return std::to_string(text.size()) + " " + text;
  // NUL and CR end a message for some receivers.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\0'; }, ' ');
  return text + "\n";
}

}  // namespace

std::string syslog_frame(const Message& message, std::string_view app_name, const SyslogStyle& style) {
  const auto name = style.use_ids ? std::string_view(message.app_id) : app_name;
  std::string text(message.stream == "stderr" ? kStderr : kStdout);
  text += timestamp(message.timestamp_us) + " ";
  text += field(message.host_id, kHostnameMax) + " ";
  text += field(name, kAppNameMax) + " ";
  text += procid(message) + " ";
  text += field(message.source, kMsgidMax) + " ";
  text += style.structured_data ? structured_data(message, name) : "-";
  if (!style.prefix.empty()) text += " " + style.prefix;
  if (!message.msg.empty()) text += " " + message.msg;
  return framed(std::move(text), style.format);
}

std::optional<std::string> syslog_frame_of_line(std::string_view line, std::string_view app_name,
                                                const SyslogStyle& style) {
  const auto stored = parse_json_object(line);
  if (!stored) return std::nullopt;
  Message message;
  message.app_id = string_or(*stored, "app_id");
  message.source = string_or(*stored, "source");
  message.stream = string_or(*stored, "stream");
  message.process_type = string_or(*stored, "process_type");
  message.job_id = string_or(*stored, "job_id");
  message.host_id = string_or(*stored, "host_id");
  message.msg = string_or(*stored, "msg");
  message.timestamp_us = int_or(*stored, "timestamp");
  return syslog_frame(message, app_name, style);
}

}  // namespace flynn::logs
