#include "log_message.h"

#include <algorithm>
#include <chrono>

namespace flynn::logs {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kMarkMember = ",\"_\":[";

// The length of the UTF-8 sequence that begins at `at`, 0 when it is none (overlong, surrogate, cut).
std::size_t sequence_at(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : static_cast<unsigned char>(0);
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string clean_text(std::string_view bytes) {
  std::string text;
  text.reserve(std::min(bytes.size(), kMessageBytesMax));
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = sequence_at(bytes, at);
    const auto piece = length == 0 ? kReplacement : bytes.substr(at, length);
    if (text.size() + piece.size() > kMessageBytesMax) break;
    text += piece;
    at += std::max<std::size_t>(length, 1);
  }
  return text;
}

std::string line_of(const Message& message, const std::optional<Mark>& mark) {
  json::object line{{"app_id", clean_text(message.app_id)},
                    {"timestamp", message.timestamp_us},
                    {"source", clean_text(message.source)},
                    {"stream", clean_text(message.stream)},
                    {"process_type", clean_text(message.process_type)},
                    {"job_id", clean_text(message.job_id)},
                    {"host_id", clean_text(message.host_id)},
                    {"msg", clean_text(message.msg)}};
  if (mark) line["_"] = json::array{mark->inode, mark->end, mark->resume};  // last: see without_mark
  return json::serialize(line) + "\n";
}

std::string_view without_mark(std::string_view line, std::string& storage) {
  // Quotes inside a text are escaped, so this sequence can only be the member.
  const auto at = line.rfind(kMarkMember);
  if (at == std::string_view::npos) return line;
  storage.assign(line.substr(0, at));
  storage += '}';
  return storage;
}

std::optional<Mark> mark_of(const json::object& stored) {
  const auto* array = find_array(stored, "_");
  if (array == nullptr || array->size() != 3) return std::nullopt;
  const auto number = [&](std::size_t i) {
    const auto& value = (*array)[i];
    return value.is_uint64() ? value.get_uint64()
                             : static_cast<std::uint64_t>(value.is_int64() ? value.get_int64() : 0);
  };
  return Mark{number(0), number(1), number(2)};
}

bool Filter::passes(std::string_view line) const {
  if (!job_id && !process_type && !source && streams.empty()) return true;
  const auto message = parse_json_object(line);
  if (!message) return false;
  if (job_id && string_or(*message, "job_id") != *job_id) return false;
  if (process_type && string_or(*message, "process_type") != *process_type) return false;
  if (source && string_or(*message, "source") != *source) return false;
  return streams.empty() || streams.contains(string_or(*message, "stream"));
}

Result<Message> message_of(const json::object& document, const std::string& app_id) {
  Message message;
  message.app_id = app_id;
  auto text = require_string(document, "msg");
  if (!text) return text.error();
  message.msg = std::move(*text);
  message.source = string_or(document, "source", "app");
  if (message.source != "app" && message.source != "router" && message.source != "platform")
    return Error{Code::invalid_argument, R"(member "source" must be "app", "router" or "platform")"};
  message.stream = string_or(document, "stream", "stdout");
  if (message.stream != "stdout" && message.stream != "stderr" && message.stream != "init")
    return Error{Code::invalid_argument, R"(member "stream" must be "stdout", "stderr" or "init")"};
  message.process_type = string_or(document, "process_type");
  message.job_id = string_or(document, "job_id");
  message.host_id = string_or(document, "host_id");
  message.timestamp_us = int_or(document, "timestamp", now_us());
  return message;
}

bool is_app_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace flynn::logs
