#include "http_routes.h"

#include <algorithm>
#include <map>
#include <set>

#include "cluster_domain.h"
#include "route_rules.h"
#include "route_store.h"
#include "tcp_routes.h"
#include "validation.h"

namespace flynn::controller {
namespace {

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
  return answer_routes(context, route_owner(text_of(app->value, "id")));
}

Outcome<Kv> find_route(Context& context, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto id = canonical_uuid(params[2]);
  if ((params[1] != "http" && params[1] != "tcp") || !id) return not_found("route");
  auto route = context.store.get(route_key(params[1], *id));
  if (!route) return route.error();
  if (!*route || text_of((*route)->value, "parent_ref") != route_owner(text_of(app->value, "id")))
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
    auto others = all_routes_but(context, changed);
    if (!others) return others.error();
    if (Verdict bad = check_http_route(changed, *others)) return *bad;
  }
  changed["updated_at"] = now_text();
  if (Verdict bad = http ? replace_route(context, *route, changed) : change_tcp_route(context, *route, *asked, changed))
    return *bad;
  return json_answer(public_form(changed));
}

Outcome<HttpResponse> delete_route(Context& context, const HttpRequest&, const Params& params) {
  auto route = find_route(context, params);
  if (!route) return route.error();
  if (text_of(route->value, "type") == "http") {
    auto others = all_routes(context, "http");
    if (!others) return others.error();
    if (Verdict bad = check_http_removal(route->value, *others)) return *bad;
  }
  if (Verdict bad = remove_route(context, *route)) return *bad;
  return empty_answer();
}

/// Nothing when the route has no sibling there.
std::optional<json::object> sibling_of(const json::object& route, const std::string& from, const std::string& to) {
  const std::string domain = text_of(route, "domain");
  // Below example.com, what is below apps.example.com has already moved there.
  const bool moved = is_of_domain(to, from) && is_of_domain(domain, to);
  if (!is_of_domain(domain, from) || moved) return std::nullopt;
  json::object sibling = route;
  sibling["domain"] = domain.substr(0, domain.size() - from.size()) + to;
  if (!is_domain(text_of(sibling, "domain"))) return std::nullopt;  // longer than a name may be
  sibling.erase("certificate");  // it is for the other name; the cluster's own is for this one
  sibling["id"] = new_uuid();
  sibling["created_at"] = sibling["updated_at"] = now_text();
  return sibling;
}

}  // namespace

bool is_route_of(const json::object& route, const std::string& app_id) {
  return text_of(route, "parent_ref") == route_owner(app_id);
}

Outcome<std::optional<Kv>> http_route_at(Context& context, const std::string& domain, const std::string& path) {
  auto place = context.store.get(http_place_key(domain + path));
  if (!place) return place.error();
  if (!*place) return std::optional<Kv>{};
  return context.store.get(route_key("http", text_of((*place)->value, "route")));
}

Outcome<bool> is_name_of_another(Context& context, const std::string& domain, const std::string& app_id) {
  auto routes = all_routes(context, "http");
  if (!routes) return routes.error();
  const bool wild = domain.starts_with("*.");
  for (const json::object& route : *routes) {
    if (is_route_of(route, app_id)) continue;
    const std::string other = text_of(route, "domain");
    const bool taken_out_of = other.starts_with("*.") && domain.ends_with(other.substr(1));
    if (other == domain || taken_out_of || (wild && other.ends_with(domain.substr(1)))) return true;
  }
  return false;
}

Outcome<CopiedRoutes> copy_http_routes(Context& context, const std::string& from, const std::string& to) {
  auto routes = all_routes(context, "http");
  if (!routes) return routes.error();
  std::map<std::string, std::string> owners;  // of each domain and path
  for (const json::object& route : *routes)
    owners[text_of(route, "domain") + text_of(route, "path")] = text_of(route, "parent_ref");
  // A path needs the default route of its domain.
  std::stable_partition(routes->begin(), routes->end(),
                        [](const json::object& route) { return text_of(route, "path") == "/"; });
  CopiedRoutes copied;
  for (const json::object& route : *routes) {
    if (context.stopping) return service_unavailable("interrupted");
    auto sibling = sibling_of(route, from, to);
    if (!sibling) continue;
    const std::string owner = text_of(route, "parent_ref"), domain = text_of(*sibling, "domain");
    const std::string place = domain + text_of(*sibling, "path");
    const auto there = owners.find(place);
    if (there != owners.end() && there->second == owner) continue;  // from before, or from an interrupted run
    // Below another app's default route, a path of ours would be taken out of its site.
    const auto above = owners.find(domain + "/");
    const bool foreign = above != owners.end() && above->second != owner;
    if (there != owners.end() || foreign) {
      copied.skipped.push_back(place);
      continue;
    }
    auto stored = store_route(context, std::move(*sibling));
    if (!stored && stored.error().status != 409) return stored.error();
    if (stored) {
      ++copied.added;
      owners[place] = owner;
    } else {
      copied.skipped.push_back(place);
    }
  }
  return copied;
}

Outcome<json::object> add_http_route(Context& context, const std::string& app_id, const json::object& asked) {
  auto others = all_routes(context, "http");
  if (!others) return others.error();
  json::object route = new_route("http", app_id, asked);
  route["domain"] = lower(text_of(asked, "domain"));
  route["path"] = normal_path(text_of(asked, "path"));
  route["sticky"] = flag_of(asked, "sticky");
  route["disable_keep_alives"] = flag_of(asked, "disable_keep_alives");
  if (Verdict bad = check_http_route(route, *others)) return *bad;
  // An app that is closed is closed on its new routes too.
  const bool closed = std::any_of(others->begin(), others->end(), [&](const json::object& other) {
    return text_of(other, "parent_ref") == route_owner(app_id) && flag_of(other, "maintenance");
  });
  if (closed) route["maintenance"] = true;
  auto certificate = certificate_of(asked, text_of(route, "id"));
  if (!certificate) return certificate.error();
  if (!certificate->is_null()) route["certificate"] = *certificate;
  return store_route(context, std::move(route));
}

Outcome<json::array> remove_routes_of_app(Context& context, const std::string& app_id) {
  auto routes = routes_newest_first(context, route_owner(app_id));
  if (!routes) return routes.error();
  // Those with a path depend on the default route of their domain.
  std::stable_partition(routes->begin(), routes->end(),
                        [](const Kv& kv) { return text_of(kv.value, "path", "/") != "/"; });
  json::array removed;
  for (const Kv& route : *routes) {
    if (Verdict bad = remove_route(context, route)) return *bad;
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
