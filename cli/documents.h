/// Reading the controller's JSON documents leniently: a member that is absent, null or of another type has its default.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "result.h"

namespace flynn::cli {

namespace json = boost::json;

/// `source` names the text in the error ("GET /apps").
Result<json::value> parse_json(std::string_view source, std::string_view text);

std::string text_of(const json::object& document, std::string_view member);
std::int64_t number_of(const json::object& document, std::string_view member, std::int64_t otherwise = 0);
bool flag_of(const json::object& document, std::string_view member);
const json::object& object_of(const json::object& document, std::string_view member);
const json::array& array_of(const json::object& document, std::string_view member);

const json::object& as_object(const json::value& value);
const json::array& as_array(const json::value& value);

}  // namespace flynn::cli
