#include "log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>

#include "flynn/sdk/json.h"

namespace flynn::core {
namespace {

constexpr std::size_t kFieldSizeMax = 8'192;

spdlog::level::level_enum level_of(int level) {
  if (level <= FLYNN_LOG_DEBUG) return spdlog::level::debug;
  if (level == FLYNN_LOG_INFO) return spdlog::level::info;
  return level == FLYNN_LOG_WARN ? spdlog::level::warn : spdlog::level::err;
}

std::string_view name_of(int level) {
  if (level <= FLYNN_LOG_DEBUG) return "debug";
  if (level == FLYNN_LOG_INFO) return "info";
  return level == FLYNN_LOG_WARN ? "warn" : "error";
}

/// A value that stands on one line and can be read back: quoted when it has to be. Plugins are hostile here: a line
/// feed in a value would forge a line.
void append_value(std::string& line, std::string_view value) {
  value = value.substr(0, kFieldSizeMax);
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  });
  if (plain)
    line += value;
  else
    line += json::serialize(json::string(value));
}

void append_field(std::string& line, std::string_view key, std::string_view value) {
  line += ' ';
  for (const char c : key.substr(0, 64)) line += (c > ' ' && c != '=' && c != '"' && c != 0x7f) ? c : '_';
  line += '=';
  append_value(line, value);
}

}  // namespace

struct EventLog::Logger {
  std::shared_ptr<spdlog::logger> spd;  // spdlog's own type; never put into its process-wide registry
};

EventLog::EventLog(std::unique_ptr<Logger> logger) : logger_(std::move(logger)) {}
EventLog::~EventLog() = default;

Result<std::unique_ptr<EventLog>> EventLog::open(const std::filesystem::path& file, const std::string& level) {
  auto logger = std::make_unique<Logger>();
  try {
    spdlog::sink_ptr sink;
    if (file.empty())
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
    logger->spd = std::make_shared<spdlog::logger>("flynn", std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    return Error{Code::failed_precondition, std::string("open the log: ") + error.what()};
  }
  logger->spd->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
  logger->spd->set_level(level == "error" ? spdlog::level::err : spdlog::level::from_str(level));
  logger->spd->flush_on(spdlog::level::debug);
  return std::unique_ptr<EventLog>(new EventLog(std::move(logger)));
}

void EventLog::line(int level, std::string_view slot, std::string_view event, const std::string& fields) {
  std::string text = "event=";
  append_value(text, event);
  if (!slot.empty()) append_field(text, "slot", slot);
  text += fields;
  recent_.add(slot, name_of(level), text);
  logger_->spd->log(level_of(level), spdlog::string_view_t(text.data(), text.size()));
}

void EventLog::write(int level, std::string_view slot, std::string_view event, LogFields fields) {
  if (!logger_->spd->should_log(level_of(level))) return;
  std::string text;
  for (const auto& [key, value] : fields) append_field(text, key, value);
  line(level, slot, event, text);
}

void EventLog::write_json(int level, std::string_view slot, std::string_view event, std::string_view fields_json) {
  if (!logger_->spd->should_log(level_of(level))) return;
  std::string text;
  auto fields = fields_json.empty() ? Result<json::object>(json::object{}) : parse_json_object(fields_json);
  if (!fields) {
    append_field(text, "text", fields_json);
  } else {
    for (const auto& [key, value] : *fields) {
      append_field(text, key, value.is_string() ? std::string(value.get_string()) : json::serialize(value));
    }
  }
  line(level, slot, event, text);
}

}  // namespace flynn::core
