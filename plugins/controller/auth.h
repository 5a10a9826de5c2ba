/// Who may use the API: Basic authentication, the password is one of the keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn::controller {

/// Compares with every key in a time that does not depend on where they differ.
bool is_authorized(std::string_view authorization, const std::vector<std::string>& keys);
/// Whether a password was sent at all.
bool has_password(std::string_view authorization);

/// The key in `path`; made at random and written with mode 0600 when there is none.
Result<std::string> read_or_make_key(const std::string& path);

}  // namespace flynn::controller
