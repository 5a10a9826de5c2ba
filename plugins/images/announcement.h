// Announcement: the service `images` in discovery, by which the router finds this API.
#pragma once

#include <string>

#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::images {

/// Registered from now until it goes. One thread, "images-announce". Borrows door and log.
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

}  // namespace flynn::images
