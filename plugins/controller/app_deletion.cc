/// The end of an app: routes, jobs, resources, releases, logs; at last the app itself.
///
/// The mark `_deleting` is written before the answer, with the note that has it carried out; every step may be
/// repeated.
#include "apps.h"
#include "deletions.h"
#include "deployments.h"
#include "http_routes.h"
#include "providers.h"
#include "releases.h"
#include "system_apps.h"

namespace flynn::controller {
namespace {

/// Jobs are asked to stop by the formations' end; one that hangs must not keep the app.
constexpr std::chrono::milliseconds kJobsWait{20'000};

struct Deleted {
  json::array routes, resources, releases;
};

Verdict stop_jobs(Context& context, const std::string& app_id) {
  Change change;
  change.remove(deploying_key(app_id))
      .remove_prefix("formations/" + app_id + "/")
      .remove_prefix(note_key("scaling", app_id + "/"));
  if (Verdict bad = context.store.must_commit(change)) return bad;
  context.kick();
  for (const json::object& job : context.jobs.of_app(app_id)) {
    if (text_of(job, "state") == "down" || !text_of(job, "type").empty()) continue;
    (void)context.door.call("flynn.scheduler/1", "Stop", {{"job_id", text_of(job, "uuid")}});
  }
  auto deadline = std::chrono::steady_clock::now() + kJobsWait;
  std::uint64_t seen = context.jobs.version();
  while (context.jobs.running_of_app(app_id) > 0) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || context.stopping) break;
    seen = context.jobs.wait_change(seen, left);
  }
  return std::nullopt;
}

Outcome<Deleted> delete_parts(Context& context, const std::string& app_id) {
  Deleted out;
  auto routes = remove_routes_of_app(context, app_id);
  if (!routes) return routes.error();
  out.routes = std::move(*routes);
  if (Verdict bad = stop_jobs(context, app_id)) return *bad;
  auto releases = releases_of_app(context, app_id);
  if (!releases) return releases.error();
  for (const Kv& release : *releases) {
    auto done = delete_release_now(context, app_id, release, Asked::with_others);
    if (!done) return done.error();
    out.releases.push_back(json::object{{"id", text_of(release.value, "id")}});
  }
  auto resources = release_resources_of_app(context, app_id);
  if (!resources) return resources.error();
  out.resources = std::move(*resources);
  auto logs = context.door.call("flynn.logs/1", "Delete", {{"app_id", app_id}});
  if (!logs && logs.error().code != Code::not_found)
    context.log.warn("log_not_deleted", {{"app", app_id}, {"error", logs.error().message}});
  return out;
}

json::object deletion_data(const std::string& app_id, const Deleted& deleted, const std::string& error) {
  json::object report{{"app", app_id},
                      {"deleted_routes", deleted.routes},
                      {"deleted_resources", deleted.resources},
                      {"deleted_releases", deleted.releases}};
  return {{"app_deletion", std::move(report)}, {"error", error}};
}

json::object note_of(const std::string& app_id) { return {{"kind", "app"}, {"app", app_id}}; }

}  // namespace

Verdict end_app(Context& context, const std::string& app_id) {
  auto app = context.store.get(app_key(app_id));
  if (!app) return app.error();
  Change change;
  change.remove(app_deletion_key(app_id));
  if (!*app) return context.store.must_commit(change);
  auto deleted = delete_parts(context, app_id);
  if (context.stopping) return std::nullopt;  // the next instance goes on
  if (deleted) {
    change.remove(app_key(app_id)).remove(app_name_key(text_of((*app)->value, "name")));
    change.remove_prefix("app-releases/" + app_id + "/");
    change.remove_prefix("deployments/" + app_id + "/").remove_prefix("scale-requests/" + app_id + "/");
    change.event({app_id, "app_deletion", app_id, deletion_data(app_id, *deleted, "")});
  } else {
    auto left = context.store.get(app_key(app_id));
    if (!left) return left.error();
    if (*left) {  // a deletion that failed is over: asking again begins a new one
      json::object kept = (*left)->value;
      kept.erase("_deleting");
      change.put(app_key(app_id), std::move(kept));
    }
    change.event({app_id, "app_deletion", app_id, deletion_data(app_id, {}, deleted.error().message)});
  }
  return context.store.must_commit(change);
}

Outcome<HttpResponse> delete_app(Context& context, const HttpRequest&, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  if (text_of(object_of(app->value, "meta"), "flynn-system-critical") == "true") {
    return validation("", "a critical system app can't be deleted");
  }
  if (Verdict bad = refuse_deletion_of_plugin(context, app->value)) return *bad;
  if (flag_of(app->value, "_deleting")) return empty_answer();
  const std::string id = text_of(app->value, "id");
  json::object marked = app->value;
  marked["_deleting"] = true;
  Change change;
  change.require(app->key, app->mod_revision).put(app->key, std::move(marked));
  change.put(app_deletion_key(id), note_of(id));
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return empty_answer();
}

Verdict note_marked_apps(Context& context) {
  auto apps = context.store.range("apps/");
  if (!apps) return apps.error();
  for (const Kv& app : *apps) {
    const std::string id = text_of(app.value, "id");
    if (!flag_of(app.value, "_deleting")) continue;
    Change change;
    change.require(app.key, app.mod_revision).put(app_deletion_key(id), note_of(id));
    if (auto done = context.store.commit(change); !done) return done.error();
  }
  return std::nullopt;
}

}  // namespace flynn::controller
