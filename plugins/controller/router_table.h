/// Which function answers which method and path. Segments that begin with ":" are captured.
///
/// Thread: filled at [startup], read by [any].
#pragma once

#include <string>
#include <vector>

#include "access_rules.h"
#include "api_error.h"
#include "wire.h"

namespace flynn::controller {

struct Context;

using Params = std::vector<std::string>;
using Handler = Outcome<HttpResponse> (*)(Context&, const HttpRequest&, const Params&);

struct Route {
  std::string method, pattern;
  std::vector<std::string> segments;  // of the pattern
  Access access;                      // what a key must be allowed: its row in access_rules.cc
  Handler handler;

  /// The segment that the pattern captures as `name` (":r"); null when it has none of that name.
  const std::string* param(std::string_view name, const Params& params) const;
};

class RouterTable {
 public:
  void add(std::string method, const std::string& pattern, Handler handler);
  /// Null when nothing fits; `params` are the captured segments in order. The first that was added wins.
  const Route* find(const HttpRequest& request, Params& params) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

/// Every route of the API.
RouterTable api_routes();

void add_app_routes(RouterTable& table);
void add_release_routes(RouterTable& table);
void add_artifact_routes(RouterTable& table);
void add_formation_routes(RouterTable& table);
void add_scale_routes(RouterTable& table);
void add_deployment_routes(RouterTable& table);
void add_job_routes(RouterTable& table);
void add_http_routes(RouterTable& table);
void add_provider_routes(RouterTable& table);
void add_resource_routes(RouterTable& table);
void add_event_routes(RouterTable& table);
void add_log_routes(RouterTable& table);
void add_key_routes(RouterTable& table);
void add_volume_routes(RouterTable& table);
void add_job_access_routes(RouterTable& table);
void add_maintenance_routes(RouterTable& table);
void add_explain_routes(RouterTable& table);
void add_status_routes(RouterTable& table);
void add_openapi_routes(RouterTable& table);
void add_domain_routes(RouterTable& table);
void add_sink_routes(RouterTable& table);
void add_access_key_routes(RouterTable& table);
void add_backup_routes(RouterTable& table);

}  // namespace flynn::controller
