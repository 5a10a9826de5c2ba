/// Routes: which domain or port leads to which service.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Validates, completes and stores a route of type http, with its event. Answers the stored route.
Outcome<json::object> add_http_route(Context& context, const std::string& app_id, const json::object& asked);
/// Removes every route of an app, dependent ones first; answers them.
Outcome<json::array> remove_routes_of_app(Context& context, const std::string& app_id);

}  // namespace flynn::controller
