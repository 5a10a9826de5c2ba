#include "expectation.h"

#include <algorithm>
#include <boost/system/error_code.hpp>

namespace flynn::authoring {
namespace {

std::string text_of_value(const json::value& value) {
  const auto* text = value.if_string();
  return text == nullptr ? json::serialize(value) : std::string(*text);
}

json::value filled_text(const std::string& text, const Saved& saved) {
  if (text.starts_with('$'))
    if (const auto found = saved.find(text.substr(1)); found != saved.end()) return found->second;
  std::string out = text;
  for (auto at = out.find("${"); at != std::string::npos; at = out.find("${", at + 1)) {
    const auto end = out.find('}', at);
    if (end == std::string::npos) break;
    if (const auto found = saved.find(out.substr(at + 2, end - at - 2)); found != saved.end())
      out.replace(at, end - at + 1, text_of_value(found->second));
  }
  return json::value(out);
}

// {"$text": [piece, times]}, {"$repeat": [times, item]} (a "${i}" in it counts from 0), {"$plus": [number, number]};
// absent when `object` is one as any other.
std::optional<json::value> made(const json::object& object, const Saved& saved) {
  if (object.size() != 1) return std::nullopt;
  const auto& [key, operand] = *object.begin();
  const auto* list = operand.if_array();
  if (list == nullptr || list->size() != 2) return std::nullopt;
  if (key == "$plus")
    return json::value(filled_in(list->at(0), saved).to_number<std::int64_t>() +
                       filled_in(list->at(1), saved).to_number<std::int64_t>());
  if (key == "$text") {
    std::string text;
    for (auto times = list->at(1).to_number<std::int64_t>(); times > 0; --times) text += list->at(0).as_string();
    return json::value(text);
  }
  if (key != "$repeat") return std::nullopt;
  json::array items;
  auto counted = saved;
  for (std::int64_t i = 0; i < list->at(0).to_number<std::int64_t>(); ++i) {
    counted["i"] = i;
    items.push_back(filled_in(list->at(1), counted));
  }
  return json::value(std::move(items));
}

bool holds(const json::array& list, const json::value& wanted) {
  return std::any_of(list.begin(), list.end(), [&](const auto& item) { return difference(wanted, item, "").empty(); });
}

// {"$any": […]} and its like; absent when `wanted` is an object as any other.
std::optional<std::string> special_difference(const json::object& wanted, const json::value& got,
                                              const std::string& place) {
  if (wanted.size() != 1) return std::nullopt;
  const auto& [key, operand] = *wanted.begin();
  const auto shown = place + " is " + json::serialize(got);
  if (key == "$not") return difference(operand, got, place).empty() ? shown : std::string();
  const auto* list = operand.if_array();
  if (list == nullptr || (key != "$any" && key != "$has" && key != "$lacks")) return std::nullopt;
  if (key == "$any") {
    const bool fits =
        std::any_of(list->begin(), list->end(), [&](const auto& one) { return difference(one, got, place).empty(); });
    return fits ? std::string() : shown + ", none of " + json::serialize(operand);
  }
  if (!got.is_array()) return shown + ", not a list";
  for (const auto& item : *list)
    if (holds(got.get_array(), item) != (key == "$has"))
      return shown + (key == "$has" ? ", without " : ", with ") + json::serialize(item);
  return std::string();
}

std::string object_difference(const json::object& wanted, const json::value& got, const std::string& place) {
  if (auto special = special_difference(wanted, got, place)) return *special;
  if (!got.is_object()) return place + " is " + json::serialize(got) + ", not an object";
  for (const auto& [key, member] : wanted) {
    const auto* found = got.get_object().if_contains(key);
    const auto name = place + "." + std::string(key);
    if (found == nullptr && !member.is_null()) return name + " is missing in " + json::serialize(got);
    if (auto other = difference(member, found == nullptr ? json::value() : *found, name); !other.empty()) return other;
  }
  return {};
}

std::string array_difference(const json::array& wanted, const json::value& got, const std::string& place) {
  if (!got.is_array() || got.get_array().size() != wanted.size())
    return place + " is " + json::serialize(got) + ", not " + json::serialize(wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (auto other = difference(wanted.at(i), got.get_array().at(i), place + "[" + std::to_string(i) + "]");
        !other.empty())
      return other;
  return {};
}

}  // namespace

json::value filled_in(const json::value& value, const Saved& saved) {
  if (const auto* text = value.if_string()) return filled_text(std::string(*text), saved);
  if (const auto* object = value.if_object()) {
    if (auto special = made(*object, saved)) return *special;
    json::object out;
    for (const auto& [key, member] : *object)
      out[text_of_value(filled_text(std::string(key), saved))] = filled_in(member, saved);
    return out;
  }
  if (const auto* array = value.if_array()) {
    json::array out;
    for (const auto& item : *array) out.push_back(filled_in(item, saved));
    return out;
  }
  return value;
}

std::string difference(const json::value& wanted, const json::value& got, const std::string& place) {
  if (const auto* text = wanted.if_string(); text != nullptr && *text == "*") return {};
  if (const auto* object = wanted.if_object()) return object_difference(*object, got, place);
  if (const auto* array = wanted.if_array()) return array_difference(*array, got, place);
  const bool numbers = wanted.is_number() && got.is_number();
  const bool same = numbers ? wanted.to_number<double>() == got.to_number<double>() : wanted == got;
  return same ? std::string() : place + " is " + json::serialize(got) + ", not " + json::serialize(wanted);
}

json::value member_at(const json::object& object, const std::string& name_or_pointer) {
  if (!name_or_pointer.starts_with('/')) {
    const auto* found = object.if_contains(name_or_pointer);
    return found == nullptr ? json::value() : *found;
  }
  boost::system::error_code missing;
  const json::value whole(object);
  const auto* found = whole.find_pointer(name_or_pointer, missing);
  return found == nullptr ? json::value() : *found;
}

}  // namespace flynn::authoring
