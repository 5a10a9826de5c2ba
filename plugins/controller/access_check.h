/// Whether a key may do what a request asks: the questions behind the rules of access_rules.h.
///
/// Thread: [any].
#pragma once

#include "access_keys.h"
#include "access_rules.h"
#include "context.h"

namespace flynn::controller {

/// Nothing, or a 403 that says which limit of the key was met. `pattern` and `params` are those of the route.
Verdict check_access(Context& context, const Identity& who, const Route& route, const HttpRequest& request,
                     const Params& params);
/// Whether `who` may change the app, as for a push.
bool may_change_app(Context& context, const Identity& who, const std::string& app);

/// The list of the apps that a key of one app may see.
HttpResponse only_app(Context& context, const Identity& who);

}  // namespace flynn::controller
