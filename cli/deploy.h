/// Releases and their way into force.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "http.h"
#include "result.h"
#include "session.h"

namespace flynn::cli {

/// `error` of a request for the app itself, said better when the app is not there.
Error app_not_found(const std::string& app, const Error& error);

/// The app's current release; an empty one when the app has none yet.
Result<boost::json::object> current_release(ControllerClient& client, const std::string& app);
/// As above, but having none is an error that says what to do.
Result<boost::json::object> require_release(ControllerClient& client, const std::string& app);

/// Puts `release` into force and returns when its deployment has ended.
Status deploy(ControllerClient& client, const std::string& app, const std::string& release);

/// The last lines of the newest job of that release, of one that ended with an error before others; empty when there is
/// none or it printed nothing.
std::vector<std::string> last_words(ControllerClient& client, const std::string& app, const std::string& release);

/// Announces that `app` gets a release that differs from `current` by `steps`; undone by going back to `current`, or
/// with `undo_first` where there is none.
Status begin_release(Session& session, const std::string& app, const boost::json::object& current,
                     std::vector<std::string> steps, const std::string& undo_first = {});

/// Makes a release like `release` (its id and times are ignored) and deploys it; answers its id.
Result<std::string> release_and_deploy(ControllerClient& client, const std::string& app, boost::json::object release);

}  // namespace flynn::cli
