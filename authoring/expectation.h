// Expectation: what a scenario wants of a document, and what it remembers of documents.
#pragma once

#include <map>
#include <string>

#include "flynn/sdk/json.h"

namespace flynn::authoring {

using Saved = std::map<std::string, json::value>;

/// `value` with what was saved: a string "$name" becomes that value, "${name}" within a string its text. Names that
/// nobody saved stay as they are. Objects with one member {"$text": ["x", 3]}, {"$repeat": [3, item]} and
/// {"$plus": ["$name", 1]} become "xxx", a list of three (with "${i}" in the item: 0, 1, 2) and a sum.
json::value filled_in(const json::value& value, const Saved& saved);

/// Empty when `got` has all that `wanted` names; else what is missing or different, and where (`place`).
/// In `wanted`, "*" is anything but absent; null is also absent; {"$any": […]} one of these, {"$not": x} anything else,
/// {"$has": […]} a list with each of these among others, {"$lacks": […]} one with none of them.
std::string difference(const json::value& wanted, const json::value& got, const std::string& place);

/// The member, or what the pointer "/a/0/b" leads to; null when there is no such thing.
json::value member_at(const json::object& object, const std::string& name_or_pointer);

}  // namespace flynn::authoring
