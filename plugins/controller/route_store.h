/// Routes as they stand in the store: one key for each, and one for each place (domain and path, or port), so that two
/// writers can't both take it. Thread: [any].
#pragma once

#include <string>
#include <vector>

#include "context.h"

namespace flynn::controller {

std::string route_key(const std::string& type, const std::string& id);
/// `parent_ref` of the app's routes, and back.
std::string route_owner(const std::string& app_id);
std::string app_of_route(const json::object& route);
/// The key of an HTTP route's place: domain and path.
std::string http_place_key(const std::string& place);

/// Of "http" or "tcp".
Outcome<std::vector<json::object>> all_routes(Context& context, const std::string& type);
Outcome<std::vector<json::object>> all_routes_but(Context& context, const json::object& route);
/// What every route has; id and owner are ours whatever the client sent.
json::object new_route(const std::string& type, const std::string& app_id, const json::object& asked);
/// `conflict` when its place is taken.
Outcome<json::object> store_route(Context& context, json::object route);
/// `before` becomes `after`, which may be at another place; `conflict` when that is taken or `before` was changed.
Verdict replace_route(Context& context, const Kv& before, const json::object& after);
Verdict remove_route(Context& context, const Kv& route);

}  // namespace flynn::controller
