/// Announcement: a service in discovery whose only instance is a listening socket of ours, by which the router finds
/// it.
#pragma once

#include <string>

#include "flynn/sdk/gate.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"

namespace flynn::http {

struct AnnouncedService {
  std::string service, instance;  // their names in discovery
  std::string thread;             // at most 15 characters
};

/// Registered from activate() to quiesce(), by one thread that lives as long as this does. What was registered stays
/// until its ten seconds have passed, or another instance of the same name takes its place. Borrows door and log.
/// Thread: [control].
class Announcement {
 public:
  /// `listening`: the socket that is announced.
  Announcement(Door& door, Log& log, AnnouncedService announced, int listening);
  ~Announcement();

  void activate();
  /// Waits for a call that is on its way.
  void quiesce();

 private:
  void run(const StopSignal& stop);
  void renew_or_register();

  Door& door_;
  Log& log_;
  const AnnouncedService announced_;
  const std::string addr_;
  StopSignal wake_;
  Gate gate_;
  std::string lease_;  // of who is inside the gate
  Worker worker_;
};

}  // namespace flynn::http
