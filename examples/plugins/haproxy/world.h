// World: the routes and instances there should be.
#pragma once

#include <flynn/sdk/store.h>
#include <flynn/sdk/worker.h>

#include <map>
#include <mutex>
#include <string>

namespace haproxy_router {

/// Ends with a slash, as a path is compared: "/api/" takes "/api" and "/api/x", not "/apix".
inline std::string with_slash(const std::string& path) { return path.ends_with('/') ? path : path + "/"; }

struct Route {
  std::string id, domain, path = "/", service;
};

/// service -> instance id -> "address:port".
using Instances = std::map<std::string, std::map<std::string, std::string>>;

/// Thread: [any].
class World {
 public:
  void replace_routes(const flynn::RangeResult& all);
  void change_routes(const std::vector<flynn::StoreEvent>& events);
  void replace_instances(Instances all);
  /// `addr` empty: it went.
  void change_instance(const std::string& service, const std::string& id, const std::string& addr);

  struct View {
    std::map<std::string, Route> routes;  // by id
    Instances instances;
    bool routes_known = false, instances_known = false;
  };
  View view() const;
  /// Asked whenever something has changed.
  flynn::StopSignal& changed() { return changed_; }

 private:
  mutable std::mutex mutex_;
  View view_;
  flynn::StopSignal changed_;
};

}  // namespace haproxy_router
