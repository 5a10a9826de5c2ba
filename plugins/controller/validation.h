/// What names, environments and process types may be. Pure; each answers with nothing or with the error for the client.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "api_error.h"

namespace flynn::controller {

inline constexpr std::size_t kNameSizeMax = 100;
inline constexpr std::size_t kEnvBytesMax = 256 * 1024;
inline constexpr std::int64_t kCountMax = 10'000;

bool is_app_name(std::string_view name);
bool is_process_type(std::string_view type);
/// A host name in lower case, or "*." and one.
bool is_domain(std::string_view domain);
bool is_service_name(std::string_view service);
bool is_strategy(std::string_view strategy);

/// `{string: string}`, no empty key, no "=" or NUL in a key, no NUL in a value.
Verdict check_env(std::string_view field, const boost::json::object& env);
Verdict check_meta(const boost::json::object& meta);
Verdict check_processes(const boost::json::object& processes);
/// `{type: count}` with counts of 0 to kCountMax.
Verdict check_counts(std::string_view field, const boost::json::object& counts);

/// `{type: {tag: value}}`; null of a type is no tags.
Verdict check_tags(std::string_view field, const boost::json::object& tags);

/// The types in `counts` that `release_processes` lacks, as "a, b"; empty when all are known.
std::string unknown_types(const boost::json::object& counts, const boost::json::object& release_processes);

}  // namespace flynn::controller
