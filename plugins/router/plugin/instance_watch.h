// Follows flynn.discovery/1 and tells the live table.
#pragma once

#include <vector>

#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"
#include "plugin/live_table.h"

namespace flynn::router {

/// Watches all services; opens the stream again with back-off when it ends. Between two streams the last known
/// instances stay; the new stream's first part then replaces them as a whole.
/// Thread: start and stop [control]. Borrows all three.
class InstanceWatch {
 public:
  InstanceWatch(Door& door, Log& log, LiveTable& table) : door_(door), log_(log), table_(table) {}

  void start(const std::string& thread_name);
  void stop() { worker_.stop(); }

 private:
  void run(const StopSignal& stop);
  /// True if the stream got as far as being current.
  Result<bool> follow(const StopSignal& stop);

  Door& door_;
  Log& log_;
  LiveTable& table_;
  Worker worker_;
};

}  // namespace flynn::router
