#include "router_table.h"

namespace flynn::controller {

const std::string* Route::param(std::string_view name, const Params& params) const {
  std::size_t index = 0;
  for (const std::string& segment : segments) {
    if (!segment.starts_with(':')) continue;
    if (segment == name) return index < params.size() ? &params[index] : nullptr;
    ++index;
  }
  return nullptr;
}

void RouterTable::add(std::string method, const std::string& pattern, Handler handler) {
  HttpRequest parsed;
  parse_target(pattern, parsed);
  const Access access = access_of(method, pattern);
  routes_.push_back({std::move(method), pattern, std::move(parsed.segments), access, handler});
}

const Route* RouterTable::find(const HttpRequest& request, Params& params) const {
  for (const Route& route : routes_) {
    if (route.method != request.method || route.segments.size() != request.segments.size()) continue;
    params.clear();
    bool fits = true;
    for (std::size_t i = 0; fits && i < route.segments.size(); ++i) {
      if (route.segments[i].starts_with(':')) {
        params.push_back(request.segments[i]);
      } else {
        fits = route.segments[i] == request.segments[i];
      }
    }
    if (fits) return &route;
  }
  return nullptr;
}

RouterTable api_routes() {
  RouterTable table;
  add_status_routes(table);
  add_openapi_routes(table);
  add_app_routes(table);
  add_release_routes(table);
  add_artifact_routes(table);
  add_formation_routes(table);
  add_scale_routes(table);
  add_deployment_routes(table);
  add_job_routes(table);
  add_http_routes(table);
  add_provider_routes(table);
  add_resource_routes(table);
  add_event_routes(table);
  add_log_routes(table);
  add_sink_routes(table);
  add_key_routes(table);
  add_volume_routes(table);
  add_job_access_routes(table);
  add_maintenance_routes(table);
  add_explain_routes(table);
  add_access_key_routes(table);
  add_backup_routes(table);
  add_domain_routes(table);
  return table;
}

}  // namespace flynn::controller
