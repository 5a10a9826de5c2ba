/// Apps: create, list, change, delete.
#include "apps.h"

#include <algorithm>
#include <array>
#include <random>

#include "cluster_domain.h"
#include "http_routes.h"
#include "page.h"
#include "validation.h"

namespace flynn::controller {
namespace {

constexpr std::array<const char*, 16> kFirst = {"amber",  "bold",   "calm",  "crisp", "dusty", "eager",
                                                "fresh",  "gentle", "happy", "ivory", "jolly", "kind",
                                                "lively", "mellow", "noble", "quiet"};
constexpr std::array<const char*, 16> kSecond = {"autumn", "breeze",  "canyon", "dawn",   "ember",  "forest",
                                                 "garden", "harbor",  "island", "jungle", "lagoon", "meadow",
                                                 "ocean",  "prairie", "river",  "summit"};
constexpr std::array<const char*, 16> kThird = {"badger", "crane", "dolphin", "eagle", "falcon", "gecko",
                                                "heron",  "ibex",  "jaguar",  "koala", "lynx",   "marten",
                                                "otter",  "panda", "raven",   "tiger"};

std::string random_name() {
  std::random_device source;
  auto pick = [&](const auto& words) { return std::string(words[source() % words.size()]); };
  return pick(kFirst) + "-" + pick(kSecond) + "-" + pick(kThird);
}

Verdict check_app(const json::object& app) {
  std::string name = text_of(app, "name");
  if (!is_app_name(name))
    return validation("name", "is invalid: use 1 to 100 of a-z, 0-9 and single dashes between them");
  std::string strategy = text_of(app, "strategy");
  if (!is_strategy(strategy)) return validation("strategy", "\"" + strategy + "\" is unknown");
  if (number_of(app, "deploy_timeout") < 1) return validation("deploy_timeout", "must be at least 1 second");
  return check_meta(object_of(app, "meta"));
}

json::object new_app(const json::object& asked) {
  json::object meta = object_of(asked, "meta");
  if (!meta.contains("gc.max_inactive_slug_releases")) meta["gc.max_inactive_slug_releases"] = "10";
  std::string name = text_of(asked, "name");
  std::string now = now_text();
  std::int64_t timeout = number_of(asked, "deploy_timeout");
  return {{"id", canonical_uuid(text_of(asked, "id")).value_or(new_uuid())},
          {"name", name.empty() ? random_name() : name},
          {"meta", std::move(meta)},
          {"strategy", member(asked, "strategy") && !text_of(asked, "strategy").empty() ? text_of(asked, "strategy")
                                                                                        : "all-at-once"},
          {"deploy_timeout", timeout > 0 ? timeout : 120},
          {"created_at", now},
          {"updated_at", now}};
}

/// Its own transaction: an app whose default route is taken is still an app.
void add_default_route(Context& context, const std::string& id, const std::string& name) {
  std::string done;
  while (true) {
    auto domains = cluster_domains(context);
    // Looked at again when the route is there: a migration that read the routes before has not seen this one.
    if (domains && (domains->current.empty() || domains->current == done)) return;
    Verdict bad;
    if (!domains) bad = domains.error();
    if (!bad) {
      done = domains->current;
      json::object route{{"domain", name + "." + done}, {"service", name + "-web"}, {"drain_backends", true}};
      if (auto added = add_http_route(context, id, route); !added) bad = added.error();
    }
    if (!bad) continue;
    context.log.warn("default_route_not_added", {{"app", id}, {"error", bad->message}});
    return;
  }
}

Outcome<HttpResponse> create_app(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  json::object app = new_app(*asked);
  if (Verdict bad = check_app(app)) return *bad;
  if (Verdict bad = store_new_app(context, app)) return *bad;
  return json_answer(public_form(app));
}

Outcome<HttpResponse> list_apps(Context& context, const HttpRequest& request, const Params&) {
  return answer_page(context, request, "apps/");
}

Outcome<HttpResponse> get_app(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  return json_answer(public_form(app->value));
}

/// The one body that is no typed object for the original: a misspelt member is refused, not passed over.
Verdict check_members(const json::object& asked) {
  static constexpr std::array<std::string_view, 9> kKnown = {
      "id", "name", "meta", "strategy", "release", "deploy_timeout", "created_at", "updated_at", "protected"};
  for (const auto& entry : asked) {
    if (std::find(kKnown.begin(), kKnown.end(), entry.key()) == kKnown.end())
      return validation(std::string(entry.key()), "is no field of an app");
  }
  return std::nullopt;
}

Outcome<HttpResponse> update_app(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  if (Verdict bad = check_members(*asked)) return *bad;
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  json::object changed = app->value;
  if (const json::value* meta = member(*asked, "meta")) {
    if (!meta->is_object()) return validation("meta", "must be an object");
    changed["meta"] = *meta;
  }
  if (!text_of(*asked, "strategy").empty()) changed["strategy"] = text_of(*asked, "strategy");
  if (number_of(*asked, "deploy_timeout") != 0) changed["deploy_timeout"] = number_of(*asked, "deploy_timeout");
  if (Verdict bad = check_app(changed)) return *bad;
  changed["updated_at"] = now_text();

  Change change;
  change.require(app->key, app->mod_revision).put(app->key, changed);
  std::string id = text_of(changed, "id");
  change.event({id, "app", id, public_form(changed)});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(public_form(changed));
}

}  // namespace

Verdict store_new_app(Context& context, const json::object& app) {
  std::string id = text_of(app, "id");
  std::string name = text_of(app, "name");
  Change change;
  change.require(app_key(id), 0).require(app_name_key(name), 0);
  change.put(app_key(id), app).put(app_name_key(name), {{"app_id", id}});
  change.event({id, "app", id, public_form(app)});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return object_exists("application \"" + name + "\" already exists");

  bool system = text_of(object_of(app, "meta"), "flynn-system-app") == "true";
  if (!system) add_default_route(context, id, name);
  return std::nullopt;
}

void add_app_routes(RouterTable& table) {
  table.add("POST", "/apps", create_app);
  table.add("GET", "/apps", list_apps);
  table.add("GET", "/apps/:a", get_app);
  table.add("POST", "/apps/:a", update_app);
  table.add("POST", "/apps/:a/meta", update_app);
  table.add("DELETE", "/apps/:a", delete_app);
}

}  // namespace flynn::controller
