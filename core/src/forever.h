// What must never be destroyed because somebody may still use it: reachable, so that a leak checker tells it from a
// mistake.
#pragma once

#include <memory>

namespace flynn::core {

/// Thread: [any].
void keep_forever(std::shared_ptr<void> object);

}  // namespace flynn::core
