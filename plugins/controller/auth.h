/// Who may use the API: Basic authentication, the password is one of the keys.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn::controller {

/// What follows the first ":" of Basic credentials; the user name is of no account. Empty when there is none.
std::string password_of(std::string_view authorization);
/// Compares with every key in a time that does not depend on where they differ.
bool matches_any(std::string_view password, const std::vector<std::string>& keys);

/// The key in `path`; made at random and written with mode 0600 when there is none.
Result<std::string> read_or_make_key(const std::string& path);
/// A new key in place of the one in `path`, which stays when the new one can't be written.
Result<std::string> write_new_key(const std::string& path);

}  // namespace flynn::controller
