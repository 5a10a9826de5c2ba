#include "api.h"

#include "auth.h"

namespace flynn::controller {
namespace {

bool is(const HttpRequest& request, std::string_view only_segment) {
  return request.method == "GET" && request.segments.size() == 1 && request.segments[0] == only_segment;
}

void allow_origin(const HttpRequest& request, HttpResponse& response) {
  if (request.origin.empty()) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", request.origin);
  response.headers.emplace_back("Access-Control-Allow-Credentials", "true");
}

HttpResponse preflight(const HttpRequest& request) {
  HttpResponse response = empty_answer();
  allow_origin(request, response);
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS");
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                "Authorization, Accept, Content-Type, If-Match, If-None-Match, Last-Event-Id");
  return response;
}

}  // namespace

Api::Api(Context& context) : context_(context) {
  add_status_routes(table_);
  add_app_routes(table_);
  add_release_routes(table_);
  add_artifact_routes(table_);
  add_formation_routes(table_);
  add_scale_routes(table_);
  add_deployment_routes(table_);
  add_job_routes(table_);
  add_http_routes(table_);
  add_provider_routes(table_);
  add_resource_routes(table_);
  add_event_routes(table_);
  add_log_routes(table_);
  add_key_routes(table_);
  add_volume_routes(table_);
  add_job_access_routes(table_);
  add_maintenance_routes(table_);
  add_explain_routes(table_);
}

HttpResponse Api::handle(const HttpRequest& request) {
  if (request.method == "OPTIONS") return preflight(request);
  // A password that is sent must be right even here: it is how a client learns that its key is wrong.
  bool open = is(request, "ping") || (is(request, "ca-cert") && !has_password(request.authorization));
  HttpResponse response = open || is_authorized(request.authorization, context_.settings.auth_keys)
                              ? dispatch(request)
                              : error_answer(unauthorized());
  allow_origin(request, response);
  return response;
}

HttpResponse Api::dispatch(const HttpRequest& request) {
  Params params;
  Handler handler = table_.find(request, params);
  if (handler == nullptr) return error_answer(not_found("path"));
  try {
    auto answer = handler(context_, request, params);
    if (answer) return std::move(*answer);
    if (answer.error().status >= 500) {
      context_.log.warn("request_failed", {{"method", request.method}, {"error", answer.error().message}});
    }
    return error_answer(answer.error());
  } catch (const std::exception& e) {
    // A document of a shape that nobody expected: this request fails, not the process.
    context_.log.error("request_threw", {{"method", request.method}, {"error", e.what()}});
    return error_answer(unknown_error(e.what()));
  }
}

}  // namespace flynn::controller
