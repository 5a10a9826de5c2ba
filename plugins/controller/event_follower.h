/// Follows `events/` in the store and hands what is new to the hub, through swaps and failures of the store.
///
/// Begins with what comes after start(): history is read on request, never kept.
#pragma once

#include "event_hub.h"
#include "flynn/sdk/store.h"

namespace flynn::controller {

class EventFollower {
 public:
  EventFollower(Door& door, Log& log, EventHub& hub) : door_(door), log_(log), hub_(hub) {}

  void start();  // [control]
  void stop() { worker_.stop(); }

 private:
  void run(const StopSignal& stop);
  /// Until the stream ends; `next` is the revision to go on with.
  void follow(const StopSignal& stop, std::int64_t& next);

  Door& door_;
  Log& log_;
  EventHub& hub_;
  Worker worker_;
};

}  // namespace flynn::controller
