// The apps' bare repositories.
#pragma once

#include <string>

#include "build_config.h"
#include "flynn/sdk/result.h"

namespace flynn::builder {

/// Makes the app's repository if there is none, owned by the git user but for the hook, and sets the hook anew.
/// Its folder. Thread: one at a time per app.
Result<std::string> prepare_repository(const BuildConfig& config, const std::string& app_id);

}  // namespace flynn::builder
