/// Which function answers which method and path. Segments that begin with ":" are captured.
///
/// Thread: filled at [startup], read by [any].
#pragma once

#include <string>
#include <vector>

#include "api_error.h"
#include "wire.h"

namespace flynn::controller {

struct Context;

using Params = std::vector<std::string>;
using Handler = Outcome<HttpResponse> (*)(Context&, const HttpRequest&, const Params&);

class RouterTable {
 public:
  void add(std::string method, const std::string& pattern, Handler handler);
  /// Null when nothing fits; `params` are the captured segments in order. The first that was added wins.
  Handler find(const HttpRequest& request, Params& params) const;

 private:
  struct Entry {
    std::string method;
    std::vector<std::string> segments;
    Handler handler;
  };
  std::vector<Entry> entries_;
};

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

}  // namespace flynn::controller
