// The structured log: one `event=… key=value` line per event.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "flynn/plugin.h"
#include "flynn/sdk/result.h"
#include "recent_lines.h"

namespace flynn::core {

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

/// Borrowed by everything in the host; the node owns it. Thread: [any].
class EventLog {
 public:
  /// `file` empty: standard error. `level`: debug, info, warn or error.
  static Result<std::unique_ptr<EventLog>> open(const std::filesystem::path& file, const std::string& level);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void debug(std::string_view event, LogFields fields) { write(FLYNN_LOG_DEBUG, {}, event, fields); }
  void info(std::string_view event, LogFields fields) { write(FLYNN_LOG_INFO, {}, event, fields); }
  void warn(std::string_view event, LogFields fields) { write(FLYNN_LOG_WARN, {}, event, fields); }
  void error(std::string_view event, LogFields fields) { write(FLYNN_LOG_ERROR, {}, event, fields); }
  void write(int level, std::string_view slot, std::string_view event, LogFields fields);
  /// A plugin's line: `fields_json` is an object or empty; anything else becomes the field `text`.
  void write_json(int level, std::string_view slot, std::string_view event, std::string_view fields_json);
  const RecentLines& recent() const { return recent_; }

 private:
  struct Logger;
  explicit EventLog(std::unique_ptr<Logger> logger);
  void line(int level, std::string_view slot, std::string_view event, const std::string& fields);
  std::unique_ptr<Logger> logger_;
  RecentLines recent_;
};

}  // namespace flynn::core
