#include "releases.h"

#include <algorithm>

#include "service_owner.h"
#include "system_apps.h"
#include "system_releases.h"
#include "validation.h"

namespace flynn::controller {
namespace {

constexpr std::int64_t kTempDiskBytes = 100LL << 20;

void fill_one(json::object& resources, const char* name, std::int64_t fallback) {
  json::object spec = object_of(resources, name);
  if (member(spec, "limit") == nullptr) spec["limit"] = fallback;
  if (member(spec, "request") == nullptr) spec["request"] = spec["limit"];
  resources[name] = std::move(spec);
}

Outcome<json::object> new_release(Context& context, const json::object& asked, const std::string& app_id) {
  json::object release{{"id", canonical_uuid(text_of(asked, "id")).value_or(new_uuid())}};
  if (!app_id.empty()) release["app_id"] = app_id;
  json::array artifacts;
  for (const std::string& id : artifact_ids_of(asked))
    artifacts.push_back(json::value(canonical_uuid(id).value_or(id)));
  release["artifacts"] = artifacts;
  if (!artifacts.empty()) release["artifact"] = artifacts[0];
  json::object env = object_of(asked, "env");
  if (Verdict bad = check_env("env", env)) return *bad;
  json::object meta = object_of(asked, "meta");
  if (Verdict bad = check_meta(meta)) return *bad;
  json::object processes = object_of(asked, "processes");
  if (Verdict bad = check_processes(processes)) return *bad;
  for (auto& entry : processes) fill_resources(entry.value().get_object(), context.settings.process_memory_bytes);
  release["env"] = std::move(env);
  release["meta"] = std::move(meta);
  release["processes"] = std::move(processes);
  release["created_at"] = now_text();
  return release;
}

Outcome<HttpResponse> create_release(Context& context, const HttpRequest& request, const Params&) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  std::string app_id;
  json::object owner;
  if (std::string reference = text_of(*asked, "app_id"); !reference.empty()) {
    auto app = find_app(context, reference);
    if (!app) return app.error().status == 404 ? validation("app_id", "names no app") : app.error();
    app_id = text_of(app->value, "id");
    owner = app->value;
  }
  auto release = new_release(context, *asked, app_id);
  if (!release) return release.error();
  for (const std::string& service : services_of(object_of(*release, "processes"))) {
    if (is_platform_service(service) && plugin_slot(owner).empty())
      return validation("processes", "may not use the service \"" + service + "\": it is the platform's own");
  }
  std::vector<std::string> wanted = artifact_ids_of(*release);
  auto artifacts = read_all(context, "artifacts/", wanted);
  if (!artifacts) return artifacts.error();
  if (artifacts->size() != wanted.size()) return validation("artifacts", "names an artifact that does not exist");
  if (!plugin_slot(owner).empty()) {
    if (Verdict bad = complete_plugin_release(context, owner, *asked, *artifacts, *release)) return *bad;
  }

  std::string id = text_of(*release, "id");
  Change change;
  change.require(release_key(id), 0).put(release_key(id), *release);
  if (!app_id.empty())
    change.put("app-releases/" + app_id + "/" + id, {{"created_at", text_of(*release, "created_at")}});
  change.event({app_id, "release", id, public_form(*release)});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return object_exists("release " + id + " already exists");
  return json_answer(public_form(*release));
}

Outcome<HttpResponse> list_releases(Context& context, const HttpRequest& request, const Params&) {
  return answer_page(context, request, "releases/");
}

Outcome<HttpResponse> get_release(Context& context, const HttpRequest&, const Params& params) {
  auto release = find_release(context, params[0]);
  if (!release) return release.error();
  return json_answer(public_form(release->value));
}

Outcome<HttpResponse> list_app_releases(Context& context, const HttpRequest& request, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto page = page_of(request);
  if (!page) return page.error();
  auto releases = releases_of_app(context, text_of(app->value, "id"), *page);
  if (!releases) return releases.error();
  json::array out;
  for (const Kv& kv : *releases) out.push_back(public_form(kv.value));
  return json_answer(out);
}

Outcome<HttpResponse> get_app_release(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto release = find_release(context, text_of(app->value, "release"));
  if (!release) return release.error();
  return json_answer(public_form(release->value));
}

Outcome<HttpResponse> put_app_release(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  if (Verdict bad = refuse_for_plugin(app->value, "deploy the release, its code has to be swapped")) return *bad;
  auto release = find_release(context, text_of(*asked, "id"));
  if (!release && release.error().status != 404) return release.error();
  if (!release) return validation("", "could not find release with ID " + text_of(*asked, "id"));
  Change change;
  if (Verdict bad = set_release(context, *app, release->value, change)) return *bad;
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return json_answer(public_form(release->value));
}

}  // namespace

void fill_resources(json::object& process, std::int64_t memory_bytes) {
  json::object resources = object_of(process, "resources");
  fill_one(resources, "memory", memory_bytes);
  fill_one(resources, "cpu", 1000);
  fill_one(resources, "temp_disk", kTempDiskBytes);
  fill_one(resources, "max_fd", 10'000);
  process["resources"] = std::move(resources);
}

std::vector<std::string> artifact_ids_of(const json::object& release) {
  std::vector<std::string> ids = strings_or_empty(release, "artifacts");
  if (std::string legacy = text_of(release, "artifact"); ids.empty() && !legacy.empty()) ids.push_back(legacy);
  return ids;
}

Outcome<json::array> layers_of(Context& context, const std::vector<std::string>& artifact_ids) {
  auto artifacts = read_all(context, "artifacts/", artifact_ids);
  if (!artifacts) return artifacts.error();
  if (artifacts->size() != artifact_ids.size()) return validation("artifacts", "names an artifact that does not exist");
  json::array layers;
  for (const Kv& artifact : *artifacts) {
    json::array rootfs = array_of(object_of(artifact.value, "manifest"), "rootfs");
    if (rootfs.empty() || !rootfs[0].is_object()) continue;
    for (const json::value& layer : array_of(rootfs[0].get_object(), "layers")) {
      layers.push_back(
          json::object{{"id", text_of(layer.as_object(), "id")}, {"length", number_of(layer.as_object(), "length")}});
    }
  }
  return layers;
}

Outcome<std::vector<Kv>> releases_of_app(Context& context, const std::string& app_id, const Page& page) {
  std::string prefix = "app-releases/" + app_id + "/";
  auto index = newest_first(context, prefix, page);
  if (!index) return index.error();
  std::vector<std::string> ids;
  for (const Kv& kv : *index) ids.push_back(kv.key.substr(prefix.size()));
  return read_all(context, "releases/", ids);
}

Verdict set_release(Context& context, const Kv& app, const json::object& release, Change& change) {
  json::object data{{"release", public_form(release)}};
  if (std::string previous = text_of(app.value, "release"); !previous.empty()) {
    auto before = context.store.get(release_key(previous));
    if (!before) return before.error();
    if (*before) data["prev_release"] = public_form((*before)->value);
  }
  json::object changed = app.value;
  changed["release"] = text_of(release, "id");
  changed["updated_at"] = now_text();
  std::string app_id = text_of(app.value, "id");
  change.require(app.key, app.mod_revision).put(app.key, std::move(changed));
  change.event({app_id, "app_release", text_of(release, "id"), std::move(data)});
  return std::nullopt;
}

void add_release_routes(RouterTable& table) {
  table.add("POST", "/releases", create_release);
  table.add("GET", "/releases", list_releases);
  table.add("GET", "/releases/:r", get_release);
  table.add("GET", "/apps/:a/releases", list_app_releases);
  table.add("GET", "/apps/:a/release", get_app_release);
  table.add("PUT", "/apps/:a/release", put_app_release);
  table.add("DELETE", "/apps/:a/releases/:r", delete_release);
  table.add("POST", "/apps/:a/gc", collect_garbage);
}

}  // namespace flynn::controller
