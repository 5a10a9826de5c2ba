/// Routes: which domain or port leads to which service.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Validates, completes and stores a route of type http, with its event. Answers the stored route.
Outcome<json::object> add_http_route(Context& context, const std::string& app_id, const json::object& asked);
/// Removes every route of an app, dependent ones first; answers them.
Outcome<json::array> remove_routes_of_app(Context& context, const std::string& app_id);

/// The route of type http with this domain and path; nothing when there is none.
Outcome<std::optional<Kv>> http_route_at(Context& context, const std::string& domain, const std::string& path);
/// True when a route belongs to that app.
bool is_route_of(const json::object& route, const std::string& app_id);
/// Whether another app has a route of this domain, of the wildcard that it would be taken out of, or below this one
/// when it is a wildcard.
Outcome<bool> is_name_of_another(Context& context, const std::string& domain, const std::string& app_id);
struct CopiedRoutes {
  std::size_t added = 0;
  std::vector<std::string> skipped;  // "domain/path" whose name, or the default route above it, is another app's
};
/// Gives each http route of the domain `from` or a name below it a sibling of `to`: the same app, service, path and
/// switches, no certificate of its own. A name that has a route already keeps it. Answers how many were added.
Outcome<CopiedRoutes> copy_http_routes(Context& context, const std::string& from, const std::string& to);

}  // namespace flynn::controller
