// OwnFigures: asks a generation for what flynn.plugin/1 says of the work that did not come through the door.
#pragma once

#include <memory>
#include <optional>

#include "call_counters.h"
#include "control_thread.h"
#include "flynn/sdk/json.h"
#include "generation.h"

namespace flynn::core {

/// Asks on a thread of its own, so that an answer which never comes holds up nobody; afterwards it is not asked again.
/// Thread: one at a time.
class OwnFigures {
 public:
  /// The document as it was given; nothing when the plugin does not implement Figures or does not answer in time.
  std::optional<json::object> ask(Generation& generation, Deadline deadline);
  /// The same as counts, without buckets.
  std::optional<CallFigures> counts(Generation& generation, Deadline deadline);

 private:
  std::unique_ptr<ControlThread> thread_;
};

}  // namespace flynn::core
