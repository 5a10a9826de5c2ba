/// What must be in the store before the platform is of use: the cluster's configuration, the stacks' layers, our own
/// app.
#pragma once

#include "context.h"

namespace flynn::controller {

/// May be repeated; changes only what differs. An error says what was missing: call again.
Verdict bootstrap(Context& context);

/// 409 when an app has a route that the platform needs below `domain`.
Verdict check_system_names(Context& context, const std::string& domain);
/// Leads `controller.` and `git.` of the domain to the platform. May be repeated; 409 as above.
Verdict add_system_routes(Context& context, const std::string& domain);

}  // namespace flynn::controller
