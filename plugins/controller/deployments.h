/// Deployments: from one release to the next.
#pragma once

#include "context.h"

namespace flynn::controller {

/// `data` of a `deployment` event.
json::object deployment_event(const json::object& deployment, const std::string& status, const std::string& error);
/// The lock that makes one unfinished deployment of an app the only one, and the list of those to resume.
std::string deploying_key(const std::string& app_id);

}  // namespace flynn::controller
