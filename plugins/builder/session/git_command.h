// What an SSH client may ask for.
#pragma once

#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

namespace flynn::builder {

/// The app's name of "git-receive-pack '/name.git'"; an error whose text is for the one who pushes.
Result<std::string> parse_git_command(std::string_view command);

/// Of "app.git" or "app".
Result<std::string> app_of_repository(std::string_view name);

}  // namespace flynn::builder
