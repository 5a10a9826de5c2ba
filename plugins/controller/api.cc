#include "api.h"

#include "access_check.h"
#include "auth.h"
#include "hidden_secrets.h"

namespace flynn::controller {
namespace {

/// "a/b" as one segment is not "a/b" as two.
std::string with_escapes(const std::string& segment) {
  std::string out;
  for (char c : segment) out += c == '/' ? std::string("%2F") : c == '%' ? std::string("%25") : std::string(1, c);
  return out;
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

Api::Api(Context& context) : context_(context), table_(api_routes()) {}

HttpResponse Api::handle(const HttpRequest& request) {
  if (request.method == "OPTIONS") return preflight(request);
  HttpResponse response = handle_with_key(request);
  allow_origin(request, response);
  return response;
}

std::optional<HttpResponse> Api::refuse_stranger(const HttpRequest& request) {
  if (!is_write(request.method) || request.method == "OPTIONS") return std::nullopt;
  auto who = identify(context_.store, context_.root_keys, request.authorization);
  if (who && *who) return std::nullopt;
  HttpResponse response = error_answer(who ? unauthorized() : who.error());
  allow_origin(request, response);
  return response;
}

HttpResponse Api::handle_with_key(const HttpRequest& request) {
  Params params;
  const Route* route = table_.find(request, params);
  // A password that is sent must be right even here: it is how a client learns that its key is wrong.
  const bool with_password = !password_of(request.authorization).empty();
  if (route != nullptr && route->access == Access::open && (route->pattern == "/ping" || !with_password))
    return answer(*route, request, params);
  auto who = identify(context_.store, context_.root_keys, request.authorization);
  if (!who) return error_answer(who.error());
  if (!*who) return error_answer(unauthorized());
  HttpResponse response = answer_for(**who, route, request, params);
  note_use(**who, request, response.status);
  return response;
}

HttpResponse Api::answer_for(const Identity& who, const Route* route, const HttpRequest& request,
                             const Params& params) {
  if (route == nullptr) return error_answer(not_found("path"));
  if (Verdict bad = check_access(context_, who, *route, request, params)) return error_answer(*bad);
  HttpResponse response = route->access == Access::list_apps && !who.app.empty() ? only_app(context_, who)
                                                                                 : answer(*route, request, params);
  if (who.read_only) hide_secrets(response);
  return response;
}

HttpResponse Api::dispatch(const HttpRequest& request) {
  Params params;
  const Route* route = table_.find(request, params);
  return route == nullptr ? error_answer(not_found("path")) : answer(*route, request, params);
}

Verdict Api::check(const Identity& who, const HttpRequest& request) {
  Params params;
  const Route* route = table_.find(request, params);
  return route == nullptr ? not_found("path") : check_access(context_, who, *route, request, params);
}

HttpResponse Api::answer(const Route& route, const HttpRequest& request, const Params& params) {
  try {
    auto answer = route.handler(context_, request, params);
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

/// The path without its query, which may hold what nobody should read later.
void Api::note_use(const Identity& who, const HttpRequest& request, int status) {
  std::string path;
  for (const std::string& segment : request.segments) path += "/" + with_escapes(segment);
  if (auto noted = context_.audit.append(access_line(who, request.method, path, status)); !noted)
    context_.log.error("access_not_logged", {{"key", who.id}, {"error", noted.error().message}});
}

}  // namespace flynn::controller
