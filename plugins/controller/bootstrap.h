/// What must be in the store before the platform is of use: the cluster's configuration, the stacks' layers, our own
/// app.
#pragma once

#include "context.h"

namespace flynn::controller {

/// May be repeated; changes only what differs. An error says what was missing: call again.
Verdict bootstrap(Context& context);

}  // namespace flynn::controller
