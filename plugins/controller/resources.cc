/// Resources: databases and the like that apps use.
#include <algorithm>

#include "providers.h"
#include "system_apps.h"
#include "validation.h"

namespace flynn::controller {
namespace {

/// Names and ids to ids.
Outcome<json::array> app_ids_of(Context& context, const json::object& asked) {
  json::array out;
  for (const std::string& reference : strings_or_empty(asked, "apps")) {
    auto app = find_app(context, reference);
    if (!app) return app.error().status == 404 ? validation("apps", "names no app: " + reference) : app.error();
    // Before anything is made that nobody could use.
    if (Verdict bad = refuse_for_plugin(app->value, "its environment is its configuration, so it can use no resource"))
      return *bad;
    out.push_back(json::value(text_of(app->value, "id")));
  }
  return out;
}

bool uses(const json::object& resource, const std::string& app_id) {
  json::array apps = array_of(resource, "apps");
  return std::find(apps.begin(), apps.end(), json::value(app_id)) != apps.end();
}

/// One event an app, as the wire has it; one without an app when no app uses it.
void add_events(Change& change, const char* type, const json::object& resource) {
  std::vector<std::string> apps = strings_or_empty(resource, "apps");
  if (apps.empty()) apps.emplace_back();
  for (const std::string& app : apps) change.event({app, type, text_of(resource, "id"), public_form(resource)});
}

Outcome<HttpResponse> create_resource(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto provider = find_provider(context, params[0]);
  if (!provider) return provider.error();
  auto apps = app_ids_of(context, *asked);
  if (!apps) return apps.error();
  std::string url = text_of(provider->value, "url");
  auto made = provision(context, url, object_of(*asked, "config"));
  if (!made) return made.error();
  std::string id = new_uuid();
  json::object resource{{"id", id},
                        {"provider", text_of(provider->value, "id")},
                        {"external_id", made->external_id},
                        {"env", made->env},
                        {"apps", std::move(*apps)},
                        {"created_at", now_text()}};
  Change change;
  change.put("resources/" + id, resource);
  add_events(change, "resource", resource);
  if (Verdict bad = context.store.must_commit(change)) {
    // Not recorded means nobody could ever give it back.
    if (Verdict lost = deprovision(context, url, made->external_id)) {
      context.log.error("resource_lost",
                        {{"provider", url}, {"external_id", made->external_id}, {"error", lost->message}});
    }
    return *bad;
  }
  return json_answer(resource);
}

Outcome<HttpResponse> answer_resources(Context& context, const std::function<bool(const json::object&)>& wanted) {
  auto resources = context.store.newest_first("resources/");
  if (!resources) return resources.error();
  json::array out;
  for (const Kv& kv : *resources) {
    if (wanted(kv.value)) out.push_back(public_form(kv.value));
  }
  return json_answer(out);
}

Outcome<HttpResponse> list_resources(Context& context, const HttpRequest&, const Params&) {
  return answer_resources(context, [](const json::object&) { return true; });
}

Outcome<HttpResponse> list_provider_resources(Context& context, const HttpRequest&, const Params& params) {
  auto provider = find_provider(context, params[0]);
  if (!provider) return provider.error();
  std::string id = text_of(provider->value, "id");
  return answer_resources(context, [&](const json::object& resource) { return text_of(resource, "provider") == id; });
}

Outcome<HttpResponse> list_app_resources(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  std::string id = text_of(app->value, "id");
  return answer_resources(context, [&](const json::object& resource) { return uses(resource, id); });
}

struct Found {
  Kv provider, resource;
};

Outcome<Found> find_resource(Context& context, const Params& params) {
  auto provider = find_provider(context, params[0]);
  if (!provider) return provider.error();
  auto id = canonical_uuid(params[1]);
  if (!id) return not_found("resource " + params[1]);
  auto resource = context.store.get("resources/" + *id);
  if (!resource) return resource.error();
  if (!*resource || text_of((*resource)->value, "provider") != text_of(provider->value, "id"))
    return not_found("resource " + *id);
  return Found{std::move(*provider), std::move(**resource)};
}

Outcome<HttpResponse> get_resource(Context& context, const HttpRequest&, const Params& params) {
  auto found = find_resource(context, params);
  if (!found) return found.error();
  return json_answer(public_form(found->resource.value));
}

/// Records a resource that the provider already has (imports do).
Outcome<HttpResponse> put_resource(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto provider = find_provider(context, params[0]);
  if (!provider) return provider.error();
  auto id = canonical_uuid(params[1]);
  if (!id) return validation("id", "is no UUID");
  if (text_of(*asked, "external_id").empty()) return validation("external_id", "must be set");
  if (Verdict bad = check_env("env", object_of(*asked, "env"))) return *bad;
  auto apps = app_ids_of(context, *asked);
  if (!apps) return apps.error();
  json::object resource{{"id", *id},
                        {"provider", text_of(provider->value, "id")},
                        {"external_id", text_of(*asked, "external_id")},
                        {"env", object_of(*asked, "env")},
                        {"apps", std::move(*apps)},
                        {"created_at", now_text()}};
  Change change;
  change.put("resources/" + *id, resource);
  add_events(change, "resource", resource);
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(resource);
}

Verdict delete_found(Context& context, const std::string& url, const Kv& resource) {
  if (Verdict bad = deprovision(context, url, text_of(resource.value, "external_id"))) return bad;
  Change change;
  change.remove(resource.key);
  add_events(change, "resource_deletion", resource.value);
  return context.store.must_commit(change);
}

Outcome<HttpResponse> delete_resource(Context& context, const HttpRequest&, const Params& params) {
  auto found = find_resource(context, params);
  if (!found) return found.error();
  if (Verdict bad = delete_found(context, text_of(found->provider.value, "url"), found->resource)) return *bad;
  return json_answer(public_form(found->resource.value));
}

Outcome<HttpResponse> change_apps(Context& context, const Params& params, bool add) {
  auto found = find_resource(context, params);
  if (!found) return found.error();
  auto app = find_app(context, params[2]);
  if (!app) return app.error();
  std::string app_id = text_of(app->value, "id");
  json::object changed = found->resource.value;
  json::array apps;
  for (const std::string& id : strings_or_empty(changed, "apps")) {
    if (id != app_id) apps.push_back(json::value(id));
  }
  if (add) apps.push_back(json::value(app_id));
  changed["apps"] = std::move(apps);
  Change change;
  change.require(found->resource.key, found->resource.mod_revision).put(found->resource.key, changed);
  change.event({app_id, add ? "resource" : "resource_app_deletion", text_of(changed, "id"), public_form(changed)});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(public_form(changed));
}

Outcome<HttpResponse> add_resource_app(Context& context, const HttpRequest&, const Params& params) {
  return change_apps(context, params, true);
}

Outcome<HttpResponse> remove_resource_app(Context& context, const HttpRequest&, const Params& params) {
  return change_apps(context, params, false);
}

}  // namespace

Outcome<json::array> release_resources_of_app(Context& context, const std::string& app_id) {
  auto resources = context.store.range("resources/");
  if (!resources) return resources.error();
  json::array deleted;
  for (const Kv& resource : *resources) {
    if (!uses(resource.value, app_id)) continue;
    if (array_of(resource.value, "apps").size() > 1) {
      auto left =
          change_apps(context, {text_of(resource.value, "provider"), text_of(resource.value, "id"), app_id}, false);
      if (!left) return left.error();
      continue;
    }
    auto provider = find_provider(context, text_of(resource.value, "provider"));
    if (!provider) return provider.error();
    if (Verdict bad = delete_found(context, text_of(provider->value, "url"), resource)) return *bad;
    deleted.push_back(public_form(resource.value));
  }
  return deleted;
}

void add_resource_routes(RouterTable& table) {
  table.add("POST", "/providers/:p/resources", create_resource);
  table.add("GET", "/providers/:p/resources", list_provider_resources);
  table.add("GET", "/providers/:p/resources/:r", get_resource);
  table.add("PUT", "/providers/:p/resources/:r", put_resource);
  table.add("DELETE", "/providers/:p/resources/:r", delete_resource);
  table.add("PUT", "/providers/:p/resources/:r/apps/:a", add_resource_app);
  table.add("DELETE", "/providers/:p/resources/:r/apps/:a", remove_resource_app);
  table.add("GET", "/apps/:a/resources", list_app_resources);
  table.add("GET", "/resources", list_resources);
}

}  // namespace flynn::controller
