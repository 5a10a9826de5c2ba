// Appliance: each resource is an app of the platform with one Redis.
#pragma once

#include <flynn/sdk/host.h>

#include <string>

namespace redis_appliance {

struct Options {
  std::int64_t memory_bytes = 134'217'728;
  std::string provider_name = "redis", slot = "redis";
};

/// Thread: [any]. All it knows is in the controller's state, so any version of this plugin goes on with it.
class Appliance {
 public:
  Appliance(flynn::Door& door, Options options) : door_(door), options_(std::move(options)) {}

  /// Makes `flynn resource add redis` known. Harmless when it is.
  flynn::Result<void> register_provider(flynn::Deadline deadline);
  struct Server {
    std::string id;  // the name of its app and service
    flynn::json::object env;
  };
  /// A new server that answers. What was begun is taken back when that fails.
  flynn::Result<Server> provision(flynn::Deadline deadline);
  /// not_found when there is none of that id.
  flynn::Result<void> deprovision(const std::string& id, flynn::Deadline deadline);
  flynn::Result<std::int64_t> count(flynn::Deadline deadline);

 private:
  flynn::Result<flynn::json::value> ask(std::string_view method, const std::string& path,
                                        const flynn::json::value& body, flynn::Deadline deadline);
  flynn::Result<std::string> make_artifact(flynn::Deadline deadline);
  flynn::Result<void> run(const std::string& id, const std::string& password, flynn::Deadline deadline);
  flynn::Result<void> wait_until_up(const std::string& id, flynn::Deadline deadline);

  flynn::Door& door_;
  Options options_;
};

/// Ids that this appliance gives: "redis-" and 12 hexadecimal digits.
bool is_id(const std::string& id);

}  // namespace redis_appliance
