/// Follows a prefix of the store and hands on what changes there, through swaps and failures of the store.
///
/// Begins with what comes after start(): history is read on request, never kept.
#pragma once

#include <functional>

#include "flynn/sdk/store.h"

namespace flynn::controller {

class StoreFollower {
 public:
  /// Both run on this follower's thread: `on_change` in the order of the commits, `on_gap` when what came before may
  /// have been missed, at the beginning too.
  StoreFollower(
      Door& door, Log& log, std::string prefix, std::function<void(const StoreEvent&)> on_change,
      std::function<void()> on_gap = [] {})
      : door_(door),
        log_(log),
        prefix_(std::move(prefix)),
        on_change_(std::move(on_change)),
        on_gap_(std::move(on_gap)) {}

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
  const std::function<void()> on_gap_;
  Worker worker_;
};

}  // namespace flynn::controller
