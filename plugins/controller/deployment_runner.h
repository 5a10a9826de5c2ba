/// Carries out one step of a deployment: reads what is, asks the planner, writes what shall be.
#pragma once

#include "context.h"

namespace flynn::controller {

enum class DeploymentState { unfinished, finished };

/// Thread: one at a time (the reconciler's). An error means that the store did not answer: call again.
Outcome<DeploymentState> move_deployment(Context& context, const std::string& app_id, const std::string& deployment_id);

}  // namespace flynn::controller
