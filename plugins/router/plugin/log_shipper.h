// Brings the access log to flynn.logs/1, once a second.
#pragma once

#include "engine/data_plane.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::router {

/// Best effort: what the log's provider does not take is dropped and counted, and no request ever waits for it.
/// Thread: start and stop [control]. Borrows both.
class LogShipper {
 public:
  LogShipper(Door& door, Log& log, DataPlane& plane) : door_(door), log_(log), plane_(plane) {}

  void start(const std::string& thread_name);
  /// After a last round.
  void stop() { worker_.stop(); }

 private:
  void ship();

  Door& door_;
  Log& log_;
  DataPlane& plane_;
  std::uint64_t dropped_ = 0, reported_ = 0;
  Worker worker_;
};

}  // namespace flynn::router
