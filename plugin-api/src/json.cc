#include "flynn/sdk/json.h"

#include <boost/json/parser.hpp>

namespace flynn {
namespace {

// Find once: null counts as absent.
const json::value* member(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Error missing(std::string_view key) {
  return Error{Code::invalid_argument, "member \"" + std::string(key) + "\" is missing"};
}

Error wrong_type(std::string_view key, std::string_view wanted) {
  return Error{Code::invalid_argument, "member \"" + std::string(key) + "\" must be " + std::string(wanted)};
}

}  // namespace

Result<json::value> parse_json(std::string_view text) {
  boost::system::error_code failure;
  json::parser parser;
  parser.reset();
  const std::size_t used = parser.write_some(text.data(), text.size(), failure);
  if (!failure && used < text.size() && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    failure = json::error::extra_data;
  if (failure)
    return Error{Code::invalid_argument, "not valid JSON near byte " + std::to_string(used) + ": " + failure.message()};
  return parser.release();
}

Result<json::object> parse_json_object(std::string_view text) {
  auto value = parse_json(text);
  if (!value) return value.error();
  if (!value->is_object()) return Error{Code::invalid_argument, "the document must be a JSON object"};
  return std::move(value->as_object());
}

std::optional<std::string> find_string(const json::object& object, std::string_view key) {
  const auto* value = member(object, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<std::int64_t> find_int(const json::object& object, std::string_view key) {
  const auto* value = member(object, key);
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64() && value->get_uint64() <= static_cast<std::uint64_t>(INT64_MAX))
    return static_cast<std::int64_t>(value->get_uint64());
  if (value->is_double()) {  // 3.0 and 1e3 are integers in JSON
    const double number = value->get_double();
    if (number >= -9.0e15 && number <= 9.0e15 && number == static_cast<double>(static_cast<std::int64_t>(number)))
      return static_cast<std::int64_t>(number);
  }
  return std::nullopt;
}

std::optional<bool> find_bool(const json::object& object, std::string_view key) {
  const auto* value = member(object, key);
  if (value == nullptr || !value->is_bool()) return std::nullopt;
  return value->get_bool();
}

const json::object* find_object(const json::object& object, std::string_view key) {
  const auto* value = member(object, key);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* find_array(const json::object& object, std::string_view key) {
  const auto* value = member(object, key);
  return value == nullptr ? nullptr : value->if_array();
}

std::string string_or(const json::object& object, std::string_view key, std::string_view fallback) {
  return find_string(object, key).value_or(std::string(fallback));
}

std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t fallback) {
  return find_int(object, key).value_or(fallback);
}

bool bool_or(const json::object& object, std::string_view key, bool fallback) {
  return find_bool(object, key).value_or(fallback);
}

std::vector<std::string> strings_or_empty(const json::object& object, std::string_view key) {
  std::vector<std::string> texts;
  if (const auto* array = find_array(object, key))
    for (const auto& item : *array)
      if (item.is_string()) texts.emplace_back(item.get_string());
  return texts;
}

Result<std::string> require_string(const json::object& object, std::string_view key) {
  const auto* value = member(object, key);
  if (value == nullptr) return missing(key);
  if (!value->is_string()) return wrong_type(key, "a string");
  return std::string(value->get_string());
}

Result<std::int64_t> require_int(const json::object& object, std::string_view key) {
  if (member(object, key) == nullptr) return missing(key);
  const auto number = find_int(object, key);
  if (!number) return wrong_type(key, "an integer");
  return *number;
}

}  // namespace flynn
