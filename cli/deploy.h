/// Releases and their way into force.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "http.h"
#include "result.h"

namespace flynn::cli {

/// The app's current release; an empty one when the app has none yet.
Result<boost::json::object> current_release(ControllerClient& client, const std::string& app);
/// As above, but having none is an error that says what to do.
Result<boost::json::object> require_release(ControllerClient& client, const std::string& app);

/// Puts `release` into force and returns when its deployment has ended.
Status deploy(ControllerClient& client, const std::string& app, const std::string& release);

/// Makes a release like `release` (its id and times are ignored) and deploys it; answers its id.
Result<std::string> release_and_deploy(ControllerClient& client, const std::string& app, boost::json::object release);

}  // namespace flynn::cli
