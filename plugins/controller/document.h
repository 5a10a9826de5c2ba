/// Reading JSON documents that strangers wrote: a member of another type counts as absent, `null` too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flynn/sdk/json.h"

namespace flynn::controller {

/// The member when it is there and not null.
inline const json::value* member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

inline std::string text_of(const json::object& object, std::string_view name, std::string_view fallback = "") {
  const json::value* value = member(object, name);
  if (value == nullptr || !value->is_string()) return std::string(fallback);
  return std::string(value->get_string());
}

inline std::int64_t number_of(const json::object& object, std::string_view name, std::int64_t fallback = 0) {
  const json::value* value = member(object, name);
  if (value == nullptr) return fallback;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
  if (value->is_double()) return static_cast<std::int64_t>(value->get_double());
  return fallback;
}

inline bool flag_of(const json::object& object, std::string_view name, bool fallback = false) {
  const json::value* value = member(object, name);
  return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

inline json::object object_of(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value != nullptr && value->is_object() ? value->get_object() : json::object{};
}

inline json::array array_of(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value != nullptr && value->is_array() ? value->get_array() : json::array{};
}

/// A stored document as the wire shows it: without the members that are ours alone ("v", and what begins with "_").
inline json::object public_form(const json::object& stored) {
  json::object out;
  for (const auto& entry : stored) {
    if (entry.key() == "v" || entry.key().starts_with("_")) continue;
    out[entry.key()] = entry.value();
  }
  return out;
}

}  // namespace flynn::controller
