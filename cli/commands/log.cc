#include <charconv>
#include <ostream>

#include "../clock_text.h"
#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr int kLinesMax = 10000;

Result<std::string> query_of(const Arguments& arguments) {
  std::string query = arguments.has("init") ? "stream_types=stdout,stderr,init" : "stream_types=stdout,stderr";
  if (arguments.has("follow")) query += "&follow=true";
  if (arguments.has("job")) query += "&job_id=" + percent_encode(arguments.value("job"));
  if (arguments.has("process-type")) query += "&process_type=" + percent_encode(arguments.value("process-type"));
  if (arguments.has("number")) {
    const std::string text = arguments.value("number");
    int lines = -1;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), lines);
    if (code != std::errc() || end != text.data() + text.size() || lines < 0 || lines > kLinesMax) {
      return usage_error("--number \"" + text + "\": expected 0 to " + std::to_string(kLinesMax));
    }
    query += "&lines=" + text;
  }
  return query;
}

/// "2026-01-31T12:00:00.000123Z app[web.host-uuid]: text"
std::string prefix_of(const json::object& message) {
  const std::string type = text_of(message, "process_type");
  auto time = parse_time(text_of(message, "timestamp"));
  // The platform's own messages count microseconds; Flynn's wire has the text.
  if (const auto micros = number_of(message, "timestamp"); !time && micros > 0) {
    time = WallTime(std::chrono::microseconds(micros));
  }
  std::string prefix = time ? timestamp_text(*time) : text_of(message, "timestamp");
  prefix +=
      " " + text_of(message, "source") + "[" + (type.empty() ? "" : type + ".") + text_of(message, "job_id") + "]: ";
  return prefix;
}

Result<int> show(Session& session, const Arguments& arguments) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto query = query_of(arguments);
  if (!query) return query.error();
  const auto client = session.controller();
  if (!client) return client.error();
  auto lines = (*client)->stream(*path + "/log?" + *query, {});
  if (!lines) return app_not_found(*session.app(), lines.error());
  for (;;) {
    const auto line = (*lines)->next_line({});
    if (!line) return line.error();
    if (!line->has_value()) {
      session.shown();
      return 0;
    }
    if ((*line)->empty()) continue;
    const auto document = parse_json("log", **line);
    if (!document) return document.error();
    const json::object& message = as_object(*document);
    if (session.json()) {
      session.raw_out() << **line << '\n' << std::flush;
      if (!session.raw_out()) return 1;
      continue;
    }
    const std::string stream = text_of(message, "stream");
    if (stream != "stdout" && stream != "stderr" && stream != "init") continue;
    std::ostream& out = arguments.has("split-stderr") && stream == "stderr" ? session.err() : session.out();
    if (!arguments.has("raw-output")) out << prefix_of(message);
    out << text_of(message, "msg") << '\n' << std::flush;
    if (!out) return 1;  // whoever read us has gone
  }
}

}  // namespace

CommandList log_commands() {
  return {
      {"log",
       "",
       "Show what the jobs of an app print",
       {{'f', "follow", "", "go on with what comes"},
        {'j', "job", "id", "of this job only"},
        {'n', "number", "lines", "the last ones only"},
        {'r', "raw-output", "", "without time and job"},
        {'s', "split-stderr", "", "lines of stderr to stderr"},
        {'t', "process-type", "type", "of this process type only (\"\": one-off jobs)"},
        {'i', "init", "", "also what the platform says inside of the job"}},
       0,
       0,
       show},
  };
}

}  // namespace flynn::cli
