#include "documents.h"

namespace flynn::cli {
namespace {

const json::value* member_of(const json::object& document, std::string_view member) {
  return document.if_contains(member);
}

}  // namespace

Result<json::value> parse_json(std::string_view source, std::string_view text) {
  boost::system::error_code code;
  json::value value = json::parse(text, code);
  if (code) return failure(std::string(source) + ": the answer is not JSON: " + code.message()).as(ErrorCode::kBadJson);
  return value;
}

std::string text_of(const json::object& document, std::string_view member) {
  const json::value* value = member_of(document, member);
  const json::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string(text->data(), text->size()) : std::string();
}

std::int64_t number_of(const json::object& document, std::string_view member, std::int64_t otherwise) {
  const json::value* value = member_of(document, member);
  if (value == nullptr || !value->is_number()) return otherwise;
  boost::system::error_code code;
  const auto number = value->to_number<std::int64_t>(code);
  return code ? otherwise : number;
}

bool flag_of(const json::object& document, std::string_view member) {
  const json::value* value = member_of(document, member);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object& as_object(const json::value& value) {
  static const json::object empty;
  const json::object* object = value.if_object();
  return object != nullptr ? *object : empty;
}

const json::array& as_array(const json::value& value) {
  static const json::array empty;
  const json::array* array = value.if_array();
  return array != nullptr ? *array : empty;
}

const json::object& object_of(const json::object& document, std::string_view member) {
  static const json::value null;
  const json::value* value = member_of(document, member);
  return as_object(value != nullptr ? *value : null);
}

const json::array& array_of(const json::object& document, std::string_view member) {
  static const json::value null;
  const json::value* value = member_of(document, member);
  return as_array(value != nullptr ? *value : null);
}

}  // namespace flynn::cli
