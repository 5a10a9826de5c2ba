/// Which names the platform accepts. Checked here so that a typo is explained before anything is sent.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "result.h"

namespace flynn::cli {

/// 1-100 characters, ^[a-z\d]+(-[a-z\d]+)*$
bool is_app_name(std::string_view name);
Status check_app_name(std::string_view name);

/// "K=V" taken apart; the key must not be empty, the value may be.
Result<std::pair<std::string, std::string>> split_assignment(std::string_view text);

/// `text` as one word of a POSIX shell: as it is where nothing in it is special, else in single quotes.
std::string shell_quoted(std::string_view text);

/// A path segment or query value, percent-encoded but for RFC 3986's unreserved characters.
std::string percent_encode(std::string_view text);

}  // namespace flynn::cli
