// Heartbeat: keeps instances registered until it ends.
#pragma once

#include <vector>

#include "discoverd_client.h"
#include "flynn/sdk/worker.h"

namespace flynn::sdutil {

/// "name:port" of the command line.
struct Registered {
  std::string service, port;
  static Result<Registered> parse(const std::string& text);
};

/// The address of this machine that others reach: EXTERNAL_IP, or the one that leads to discovery.
std::string own_address(const DiscoverdClient& discoverd);
/// The IPv4 address of an interface; not_found.
Result<std::string> address_of_interface(const std::string& name);

/// One thread, "heartbeat": every 4 s, 300 ms after a failure (said once). Thread: [control].
class Heartbeat {
 public:
  Heartbeat(DiscoverdClient discoverd, const std::string& address, const std::vector<Registered>& wanted);
  ~Heartbeat() { end(); }

  /// Registers all at once; the first error.
  Result<void> begin();
  /// Takes them out.
  void end();
  const std::vector<std::pair<std::string, Instance>>& instances() const { return instances_; }

 private:
  void run(const StopSignal& stop);
  DiscoverdClient discoverd_;
  std::vector<std::pair<std::string, Instance>> instances_;
  Worker worker_;
};

}  // namespace flynn::sdutil
