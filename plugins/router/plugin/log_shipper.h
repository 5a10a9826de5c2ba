// Brings the access log to flynn.logs/1, once a second.
#pragma once

#include "engine/data_plane.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::router {

/// Best effort: what the log's provider does not take is dropped and counted, and no request ever waits for it.
/// Thread: start, stop and, after stop, ship [control]. Borrows all three.
class LogShipper {
 public:
  LogShipper(Door& door, Log& log, DataPlane& plane) : door_(door), log_(log), plane_(plane) {}

  void start(const std::string& thread_name);
  void stop() { worker_.stop(); }
  /// Once more, when the plane has ended: then it has lines that no round could have taken.
  void ship();

 private:
  Door& door_;
  Log& log_;
  DataPlane& plane_;
  std::uint64_t dropped_ = 0, reported_ = 0;
  Worker worker_;
};

}  // namespace flynn::router
