// Reading and writing the JSON documents of calls and keys without exceptions.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn {

namespace json = boost::json;

/// Depth at most 32, UTF-8 checked. invalid_argument with the position otherwise.
Result<json::value> parse_json(std::string_view text);
/// As parse_json, and the document must be an object.
Result<json::object> parse_json_object(std::string_view text);

/// Absent and null members are the same (interfaces/README.md). A member of the wrong type reads as absent here; use
/// the require_ forms where that must be an error.
std::optional<std::string> find_string(const json::object& object, std::string_view key);
std::optional<std::int64_t> find_int(const json::object& object, std::string_view key);
std::optional<bool> find_bool(const json::object& object, std::string_view key);
/// Borrowed from `object`; null when absent.
const json::object* find_object(const json::object& object, std::string_view key);
const json::array* find_array(const json::object& object, std::string_view key);

std::string string_or(const json::object& object, std::string_view key, std::string_view fallback = {});
std::int64_t int_or(const json::object& object, std::string_view key, std::int64_t fallback = 0);
bool bool_or(const json::object& object, std::string_view key, bool fallback = false);
/// The strings of an array member; others in it are left out.
std::vector<std::string> strings_or_empty(const json::object& object, std::string_view key);

/// invalid_argument "member <key> is missing" or "… must be a string".
Result<std::string> require_string(const json::object& object, std::string_view key);
Result<std::int64_t> require_int(const json::object& object, std::string_view key);

inline std::string to_text(const json::value& value) { return json::serialize(value); }

}  // namespace flynn
