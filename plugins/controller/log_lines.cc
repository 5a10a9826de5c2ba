#include "log_lines.h"

#include <cstdio>

#include "event_filter.h"
#include "ident.h"

namespace flynn::controller {
namespace {

std::string micro_time(std::int64_t microseconds) {
  std::string text = format_time(microseconds / 1000);  // "….123Z"
  char rest[8];
  std::snprintf(rest, sizeof rest, "%03dZ", static_cast<int>(microseconds % 1000));
  return text.substr(0, text.size() - 1) + rest;
}

}  // namespace

json::object log_message(const json::object& message) {
  std::string host = text_of(message, "host_id");
  std::string job = text_of(message, "job_id");
  if (!job.empty() && !host.empty() && !job.starts_with(host)) job = host + "-" + job;
  std::string when = text_of(message, "timestamp");
  if (when.empty()) when = micro_time(number_of(message, "timestamp"));
  return {{"host_id", host},
          {"job_id", job},
          {"msg", text_of(message, "msg")},
          {"process_type", text_of(message, "process_type")},
          {"source", text_of(message, "source")},
          {"stream", text_of(message, "stream")},
          {"timestamp", when}};
}

void LogLines::feed(std::string_view chunk, std::string& out) {
  partial_ += chunk;
  std::size_t begin = 0;
  for (std::size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    line(std::string_view(partial_).substr(begin, end - begin), out);
  }
  partial_.erase(0, begin);
}

void LogLines::line(std::string_view text, std::string& out) {
  auto message = parse_json_object(text);
  if (!message) return;
  if (const json::value* error = member(*message, "error"); error != nullptr && error->is_object()) {
    if (format_ == LogFormat::events) out += sse_error(text_of(error->get_object(), "message"));
    return;
  }
  json::object shown = log_message(*message);
  if (format_ == LogFormat::lines) {
    out += json::serialize(shown) + "\n";
  } else {
    out += sse_data(json::serialize(json::object{{"event", "message"}, {"data", std::move(shown)}}));
  }
}

void LogLines::finish(std::string& out) {
  if (format_ == LogFormat::events) out += sse_data(R"({"event":"eof"})");
}

}  // namespace flynn::controller
