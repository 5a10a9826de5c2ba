// Announcement: the service `gitreceive` in discovery, by which the router finds git over HTTP.
#pragma once

#include <string>

#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::builder {

/// Registered from now until it goes. One thread, "builder-announce". Borrows door and log.
class Announcement {
 public:
  /// `listening`: the socket that is announced.
  Announcement(Door& door, Log& log, int listening);
  ~Announcement();

 private:
  void run(const StopSignal& stop);
  Door& door_;
  Log& log_;
  std::string addr_, lease_;
  Worker worker_;
};

}  // namespace flynn::builder
