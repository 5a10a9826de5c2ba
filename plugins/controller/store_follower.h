/// Follows a prefix of the store and hands on what changes there, through swaps and failures of the store.
///
/// Begins with what comes after start(): history is read on request, never kept.
#pragma once

#include <functional>

#include "flynn/sdk/store.h"

namespace flynn::controller {

class StoreFollower {
 public:
  /// `on_change` runs on this follower's thread, in the order of the commits.
  StoreFollower(Door& door, Log& log, std::string prefix, std::function<void(const StoreEvent&)> on_change)
      : door_(door), log_(log), prefix_(std::move(prefix)), on_change_(std::move(on_change)) {}

  void start(const char* thread_name);  // [control]
  void stop() { worker_.stop(); }

 private:
  void run(const StopSignal& stop);
  /// Until the stream ends; `next` is the revision to go on with.
  void follow(const StopSignal& stop, std::int64_t& next);

  Door& door_;
  Log& log_;
  const std::string prefix_;
  const std::function<void(const StoreEvent&)> on_change_;
  Worker worker_;
};

}  // namespace flynn::controller
