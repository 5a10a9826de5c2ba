#include "deployments.h"

#include "formations.h"
#include "page.h"
#include "releases.h"
#include "system_apps.h"
#include "system_deployments.h"

namespace flynn::controller {
namespace {

bool all_zero(const json::object& processes) {
  for (const auto& entry : processes) {
    if (number_of(processes, entry.key()) > 0) return false;
  }
  return true;
}

/// The formation of the app's current release; an empty one when there is none.
Outcome<std::optional<Kv>> current_formation(Context& context, const json::object& app) {
  std::string release = text_of(app, "release");
  if (release.empty()) return std::optional<Kv>{};
  return context.store.get(formation_key(text_of(app, "id"), release));
}

json::object new_deployment(const json::object& app, const std::string& release_id,
                            const std::optional<Kv>& formation) {
  json::object deployment{{"id", new_uuid()}, {"app", text_of(app, "id")}};
  if (std::string old = text_of(app, "release"); !old.empty()) deployment["old_release"] = old;
  deployment["new_release"] = release_id;
  deployment["strategy"] = text_of(app, "strategy", "all-at-once");
  deployment["status"] = "pending";
  deployment["processes"] = formation ? object_of(formation->value, "processes") : json::object{};
  deployment["tags"] = formation ? object_of(formation->value, "tags") : json::object{};
  deployment["deploy_timeout"] = number_of(app, "deploy_timeout", 120);
  if (std::string batch = text_of(object_of(app, "meta"), "flynn-deploy-batch-size"); !batch.empty()) {
    deployment["deploy_batch_size"] = std::atoll(batch.c_str());
  }
  deployment["created_at"] = now_text();
  return deployment;
}

/// Nothing runs, so nothing has to be moved: the release is set and the deployment complete, all in one transaction.
Verdict complete_at_once(Context& context, const Kv& app, const json::object& release, json::object& deployment,
                         Change& change) {
  deployment["status"] = "complete";
  deployment["finished_at"] = now_text();
  if (Verdict bad = set_release(context, app, release, change)) return bad;
  change.event({text_of(deployment, "app"), "deployment", text_of(deployment, "id"),
                deployment_event(deployment, "complete", "")});
  return std::nullopt;
}

Outcome<HttpResponse> create_deployment(Context& context, const HttpRequest& request, const Params& params) {
  auto asked = body_of(request);
  if (!asked) return asked.error();
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  auto release = find_release(context, text_of(*asked, "id"));
  if (!release && release.error().status != 404) return release.error();
  if (!release) return validation("", "could not find release with ID " + text_of(*asked, "id"));
  if (!plugin_slot(app->value).empty()) return deploy_plugin(context, *app, *release);
  auto formation = current_formation(context, app->value);
  if (!formation) return formation.error();

  std::string app_id = text_of(app->value, "id");
  std::string release_id = text_of(release->value, "id");
  json::object deployment = new_deployment(app->value, release_id, *formation);
  std::string id = text_of(deployment, "id");
  bool nothing_runs = !*formation || all_zero(object_of((*formation)->value, "processes"));
  bool same = text_of(app->value, "release") == release_id;
  if (!nothing_runs && array_of(release->value, "artifacts").empty())
    return validation("", "release is not deployable");

  Change change;
  change.require(deploying_key(app_id), 0);
  if (nothing_runs || same) {
    if (Verdict bad = complete_at_once(context, *app, release->value, deployment, change)) return *bad;
  } else {
    change.put(deploying_key(app_id), {{"app", app_id}, {"deployment", id}});
    change.event({app_id, "deployment", id, deployment_event(deployment, "pending", "")});
  }
  change.put(deployment_key(app_id, id), deployment);
  change.put(note_key("deployments", id), {{"app", app_id}});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict)
    return validation("", "Cannot create deploy, there is already one in progress for this app.");
  context.kick();
  return json_answer(public_form(deployment));
}

Outcome<HttpResponse> list_deployments(Context& context, const HttpRequest& request, const Params& params) {
  auto app = find_app(context, params[0]);
  if (!app) return app.error();
  return answer_page(context, request, "deployments/" + text_of(app->value, "id") + "/");
}

Outcome<HttpResponse> get_deployment(Context& context, const HttpRequest&, const Params& params) {
  auto id = canonical_uuid(params[0]);
  if (!id) return not_found("deployment " + params[0]);
  auto note = context.store.get(note_key("deployments", *id));
  if (!note) return note.error();
  if (!*note) return not_found("deployment " + *id);
  auto deployment = context.store.get(deployment_key(text_of((*note)->value, "app"), *id));
  if (!deployment) return deployment.error();
  if (!*deployment) return not_found("deployment " + *id);
  return json_answer(public_form((*deployment)->value));
}

}  // namespace

std::string deploying_key(const std::string& app_id) { return note_key("deploying", app_id); }

json::object deployment_event(const json::object& deployment, const std::string& status, const std::string& error) {
  return {{"app", text_of(deployment, "app")},
          {"deployment", text_of(deployment, "id")},
          {"release", text_of(deployment, "new_release")},
          {"status", status},
          {"job_type", ""},
          {"job_state", ""},
          {"error", error}};
}

void add_deployment_routes(RouterTable& table) {
  table.add("POST", "/apps/:a/deploy", create_deployment);
  table.add("GET", "/apps/:a/deployments", list_deployments);
  table.add("GET", "/deployments/:d", get_deployment);
}

}  // namespace flynn::controller
