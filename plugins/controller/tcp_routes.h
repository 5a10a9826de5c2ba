/// TCP routes: a port of the node each. One that is answered with success is served, as far as the router can tell.
///
/// The range that the configuration names is asked first; then the router, which alone knows what it could open. While
/// it does not answer (a swap, a start), a route is taken: it will be served. Thread: [any]; both wait for the router,
/// kRouterWait at most for each port that is tried.
#pragma once

#include "context.h"

namespace flynn::controller {

/// A route that `asked` describes, with port 0: the first that can be had.
Outcome<json::object> add_tcp_route(Context& context, const std::string& app_id, const json::object& asked);
/// `before` becomes `changed`, at the port that `asked` names (0 or none: as it was), which is put into `changed`.
Verdict change_tcp_route(Context& context, const Kv& before, const json::object& asked, json::object& changed);

}  // namespace flynn::controller
