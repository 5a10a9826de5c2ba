// Appliance: the PostgreSQL server as an app of the platform: an artifact of the postgres stack, a release with a
// volume, one job.
#pragma once

#include <mutex>
#include <string>

#include "controller_api.h"
#include "database_admin.h"

namespace flynn::postgres {

struct ApplianceOptions {
  std::int64_t memory_bytes = 1'073'741'824;
  int max_connections = 200;
  std::string provider_name = "postgres";
};

/// Thread: [any]. Borrows the door. All it knows is in the controller's state, so any version of this plugin goes on
/// with it.
class Appliance {
 public:
  Appliance(Door& door, ApplianceOptions options) : door_(door), controller_(door), options_(std::move(options)) {}

  /// Makes `flynn resource add postgres` known. Harmless when it is.
  Result<void> register_provider(Deadline deadline);
  /// The server's address, starting it (and making app, artifact and release) when it does not run; waits until it is
  /// healthy. `unavailable` when that takes longer than the deadline.
  Result<ServerAddress> ensure_server(Deadline deadline);
  /// As ensure_server, but only looks: `unavailable` when there is none.
  Result<ServerAddress> find_server(Deadline deadline);

 private:
  Result<void> ensure_app(Deadline deadline);
  Result<json::object> ensure_release(Deadline deadline);
  Result<json::object> make_release(Deadline deadline);
  Result<json::object> make_artifact(Deadline deadline);
  Result<void> ensure_formation(const json::object& release, Deadline deadline);
  Result<std::string> wait_for_instance(Deadline deadline);
  Result<ServerAddress> address_with_password(const std::string& addr, const json::object& release);

  Door& door_;
  ControllerApi controller_;
  ApplianceOptions options_;
  std::mutex setting_up_;  // two first Provisions make one server
};

/// The process of the release: makes the cluster when the volume is empty, then runs the server. PGPASSWORD is the
/// superuser's.
std::string start_script(int max_connections);

}  // namespace flynn::postgres
