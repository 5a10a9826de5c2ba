/// Deployments of system apps: the node is asked to bring a release of a plugin in force.
///
/// The lock `deploying` of such a deployment has "plugin": the slot, so that it is left to us by those that place jobs.
#pragma once

#include "context.h"

namespace flynn::controller {

/// Answers as for every app: the deployment, pending; its events say how it goes on.
Outcome<HttpResponse> deploy_plugin(Context& context, const Kv& app, const Kv& release);

/// One step; true when the deployment has ended. It goes on after a swap of this very plugin: all that is remembered
/// stands in the store.
Outcome<bool> move_plugin_deployment(Context& context, const Kv& app, const std::string& deployment_id,
                                     const json::object& plugin);

}  // namespace flynn::controller
