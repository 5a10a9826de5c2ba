#include "http_routes.h"

#include <algorithm>

#include "route_rules.h"

namespace flynn::controller {
namespace {

std::string route_key(const std::string& type, const std::string& id) { return "routes/" + type + "/" + id; }

std::string owner_of(const std::string& app_id) { return "controller/apps/" + app_id; }

/// One key for each domain and path (or port): two writers can't both take it.
std::string place_key(const json::object& route) {
  std::string place = text_of(route, "type") == "tcp" ? std::to_string(number_of(route, "port"))
                                                      : text_of(route, "domain") + text_of(route, "path");
  return note_key("route-places", text_of(route, "type") + "/" + sha256_hex(place));
}

Outcome<std::vector<json::object>> all_routes(Context& context, const std::string& type) {
  auto routes = context.store.range("routes/" + type + "/");
  if (!routes) return routes.error();
  std::vector<json::object> out;
  for (Kv& kv : *routes) out.push_back(std::move(kv.value));
  return out;
}

json::object common_of(const std::string& type, const std::string& app_id, const json::object& asked) {
  std::string now = now_text();
  // An id or owner that the client sends is from another app or cluster: never taken.
  return {{"type", type},
          {"id", new_uuid()},
          {"parent_ref", owner_of(app_id)},
          {"service", text_of(asked, "service")},
          {"port", number_of(asked, "port")},
          {"leader", flag_of(asked, "leader")},
          {"drain_backends", flag_of(asked, "drain_backends")},
          {"created_at", now},
          {"updated_at", now}};
}

Outcome<json::object> store_route(Context& context, const std::string& app_id, json::object route) {
  std::string id = text_of(route, "id");
  std::string key = route_key(text_of(route, "type"), id);
  Change change;
  change.require(place_key(route), 0).put(place_key(route), {{"route", id}}).put(key, route);
  change.event({app_id, "route", id, public_form(route)});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return conflict("Duplicate route", public_form(route));
  return route;
}

Outcome<json::object> add_tcp_route(Context& context, const std::string& app_id, const json::object& asked) {
  auto others = all_routes(context, "tcp");
  if (!others) return others.error();
  json::object route = common_of("tcp", app_id, asked);
  if (Verdict bad = choose_tcp_port(route, *others)) return *bad;
  return store_route(context, app_id, std::move(route));
}

Outcome<HttpResponse> create_route(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  std::string app_id = text_of(app->value, "id");
  std::string type = text_of(*asked, "type");
  if (type != "http" && type != "tcp") return validation("type", "must be http or tcp");
  auto route = type == "http" ? add_http_route(context, app_id, *asked) : add_tcp_route(context, app_id, *asked);
  if (!route) return route.error();
  return json_answer(public_form(*route));
}

Outcome<std::vector<Kv>> routes_newest_first(Context& context, const std::string& owner) {
  auto routes = context.store.newest_first("routes/");
  if (!routes) return routes.error();
  std::erase_if(*routes, [](const Kv& kv) { return kv.key == "routes/certificate"; });
  if (!owner.empty()) std::erase_if(*routes, [&](const Kv& kv) { return text_of(kv.value, "parent_ref") != owner; });
  return routes;
}

Outcome<HttpResponse> answer_routes(Context& context, const std::string& owner) {
  auto routes = routes_newest_first(context, owner);
  if (!routes) return routes.error();
  json::array out;
  for (const Kv& kv : *routes) out.push_back(public_form(kv.value));
  return json_answer(out);
}

Outcome<HttpResponse> list_routes(Context& context, const HttpRequest&, const Params&) {
  return answer_routes(context, "");
}

Outcome<HttpResponse> list_app_routes(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  return answer_routes(context, owner_of(text_of(app->value, "id")));
}

Outcome<Kv> find_route(Context& context, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto id = canonical_uuid(params[2]);
  if ((params[1] != "http" && params[1] != "tcp") || !id) return not_found("route");
  auto route = context.store.get(route_key(params[1], *id));
  if (!route) return route.error();
  if (!*route || text_of((*route)->value, "parent_ref") != owner_of(text_of(app->value, "id")))
    return not_found("route");
  return std::move(**route);
}

Outcome<HttpResponse> get_route(Context& context, const HttpRequest&, const Params& params) {
  auto route = find_route(context, params);
  if (!route) return route.error();
  return json_answer(public_form(route->value));
}

Outcome<HttpResponse> put_route(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto route = find_route(context, params);
  if (!route) return route.error();
  json::object changed = route->value;
  bool http = text_of(changed, "type") == "http";
  if (http && text_of(*asked, "domain") != text_of(changed, "domain")) return not_found("route of that domain");
  if (member(*asked, "drain_backends") != nullptr &&
      flag_of(*asked, "drain_backends") != flag_of(changed, "drain_backends")) {
    return validation("drain_backends", "cannot be changed");
  }
  if (!text_of(*asked, "service").empty()) changed["service"] = text_of(*asked, "service");
  changed["leader"] = flag_of(*asked, "leader");
  if (http) {
    changed["sticky"] = flag_of(*asked, "sticky");
    changed["disable_keep_alives"] = flag_of(*asked, "disable_keep_alives");
    auto certificate = certificate_of(*asked, text_of(changed, "id"));
    if (!certificate) return certificate.error();
    if (!certificate->is_null()) changed["certificate"] = *certificate;
    auto others = all_routes(context, "http");
    if (!others) return others.error();
    std::erase_if(*others, [&](const json::object& other) { return text_of(other, "id") == text_of(changed, "id"); });
    if (Verdict bad = check_http_route(changed, *others)) return *bad;
  }
  changed["updated_at"] = now_text();
  Change change;
  change.require(route->key, route->mod_revision).put(route->key, changed);
  std::string app_id = text_of(changed, "parent_ref").substr(owner_of("").size());
  change.event({app_id, "route", text_of(changed, "id"), public_form(changed)});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(public_form(changed));
}

Verdict remove_route(Context& context, const std::string& app_id, const Kv& route) {
  Change change;
  change.require(route.key, route.mod_revision).remove(route.key).remove(place_key(route.value));
  change.event({app_id, "route_deletion", text_of(route.value, "id"), public_form(route.value)});
  return context.store.must_commit(change);
}

Outcome<HttpResponse> delete_route(Context& context, const HttpRequest&, const Params& params) {
  auto route = find_route(context, params);
  if (!route) return route.error();
  if (text_of(route->value, "type") == "http") {
    auto others = all_routes(context, "http");
    if (!others) return others.error();
    if (Verdict bad = check_http_removal(route->value, *others)) return *bad;
  }
  std::string app_id = text_of(route->value, "parent_ref").substr(owner_of("").size());
  if (Verdict bad = remove_route(context, app_id, *route)) return *bad;
  return empty_answer();
}

}  // namespace

Outcome<json::object> add_http_route(Context& context, const std::string& app_id, const json::object& asked) {
  auto others = all_routes(context, "http");
  if (!others) return others.error();
  json::object route = common_of("http", app_id, asked);
  std::string domain = text_of(asked, "domain");
  std::transform(domain.begin(), domain.end(), domain.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  route["domain"] = domain;
  route["path"] = normal_path(text_of(asked, "path"));
  route["sticky"] = flag_of(asked, "sticky");
  route["disable_keep_alives"] = flag_of(asked, "disable_keep_alives");
  if (Verdict bad = check_http_route(route, *others)) return *bad;
  // An app that is closed is closed on its new routes too.
  const bool closed = std::any_of(others->begin(), others->end(), [&](const json::object& other) {
    return text_of(other, "parent_ref") == owner_of(app_id) && flag_of(other, "maintenance");
  });
  if (closed) route["maintenance"] = true;
  auto certificate = certificate_of(asked, text_of(route, "id"));
  if (!certificate) return certificate.error();
  if (!certificate->is_null()) route["certificate"] = *certificate;
  return store_route(context, app_id, std::move(route));
}

Outcome<json::array> remove_routes_of_app(Context& context, const std::string& app_id) {
  auto routes = routes_newest_first(context, owner_of(app_id));
  if (!routes) return routes.error();
  // Those with a path depend on the default route of their domain.
  std::stable_partition(routes->begin(), routes->end(),
                        [](const Kv& kv) { return text_of(kv.value, "path", "/") != "/"; });
  json::array removed;
  for (const Kv& route : *routes) {
    if (Verdict bad = remove_route(context, app_id, route)) return *bad;
    removed.push_back(public_form(route.value));
  }
  return removed;
}

void add_http_routes(RouterTable& table) {
  table.add("POST", "/apps/:a/routes", create_route);
  table.add("GET", "/apps/:a/routes", list_app_routes);
  table.add("GET", "/routes", list_routes);
  table.add("GET", "/apps/:a/routes/:type/:id", get_route);
  table.add("PUT", "/apps/:a/routes/:type/:id", put_route);
  table.add("DELETE", "/apps/:a/routes/:type/:id", delete_route);
}

}  // namespace flynn::controller
