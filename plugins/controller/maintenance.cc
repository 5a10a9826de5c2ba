/// Maintenance: the routes of an app answer 503 with a page, whatever runs behind them, until it is taken back.
#include "context.h"

namespace flynn::controller {
namespace {

constexpr const char* kOwner = "controller/apps/";

Outcome<std::vector<Kv>> http_routes_of(Context& context, const std::string& app_id) {
  auto routes = context.store.range("routes/http/");
  if (!routes) return routes.error();
  std::erase_if(*routes, [&](const Kv& kv) { return text_of(kv.value, "parent_ref") != kOwner + app_id; });
  return routes;
}

json::object answer_of(const std::vector<Kv>& routes) {
  json::array domains;
  bool on = false;
  for (const Kv& route : routes) {
    on = on || flag_of(route.value, "maintenance");
    domains.push_back(json::value(text_of(route.value, "domain") + text_of(route.value, "path")));
  }
  return {{"maintenance", on}, {"routes", std::move(domains)}};
}

Outcome<HttpResponse> get_maintenance(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto routes = http_routes_of(context, text_of(app->value, "id"));
  if (!routes) return routes.error();
  return json_answer(answer_of(*routes));
}

/// Body {"maintenance": bool}. All routes change in one transaction.
Outcome<HttpResponse> put_maintenance(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  const json::value* wanted = member(*asked, "maintenance");
  if (wanted == nullptr || !wanted->is_bool()) return validation("maintenance", "must be true or false");
  const std::string app_id = text_of(app->value, "id");
  auto routes = http_routes_of(context, app_id);
  if (!routes) return routes.error();
  if (routes->empty()) return validation("", "the app has no HTTP route");
  Change change;
  for (Kv& route : *routes) {
    route.value["maintenance"] = wanted->get_bool();
    route.value["updated_at"] = now_text();
    change.require(route.key, route.mod_revision).put(route.key, route.value);
    change.event({app_id, "route", text_of(route.value, "id"), public_form(route.value)});
  }
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(answer_of(*routes));
}

}  // namespace

void add_maintenance_routes(RouterTable& table) {
  table.add("GET", "/apps/:a/maintenance", get_maintenance);
  table.add("PUT", "/apps/:a/maintenance", put_maintenance);
}

}  // namespace flynn::controller
