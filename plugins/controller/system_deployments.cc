#include "system_deployments.h"

#include "deployments.h"
#include "node_plugins.h"
#include "releases.h"
#include "system_apps.h"
#include "system_releases.h"

namespace flynn::controller {
namespace {

json::object new_deployment(const json::object& app, const std::string& release_id) {
  json::object deployment{{"id", new_uuid()}, {"app", text_of(app, "id")}};
  if (std::string old = text_of(app, "release"); !old.empty()) deployment["old_release"] = old;
  deployment["new_release"] = release_id;
  deployment["strategy"] = text_of(app, "strategy", "all-at-once");
  deployment["status"] = "pending";
  deployment["processes"] = json::object{};
  deployment["tags"] = json::object{};
  deployment["deploy_timeout"] = number_of(app, "deploy_timeout", 120);
  deployment["created_at"] = now_text();
  return deployment;
}

/// Ends it; with the release in force unless there is an error.
Outcome<bool> finish(Context& context, const Kv& app, const Kv& deployment, const json::object& release,
                     const std::string& error) {
  std::string app_id = text_of(app.value, "id");
  std::string status = error.empty() ? "complete" : "failed";
  json::object ended = deployment.value;
  ended["status"] = status;
  ended["finished_at"] = now_text();
  Change change;
  change.require(deployment.key, deployment.mod_revision).put(deployment.key, ended).remove(deploying_key(app_id));
  if (error.empty()) {
    if (Verdict bad = set_release(context, app, release, change)) return *bad;
  }
  change.event({app_id, "deployment", text_of(ended, "id"), deployment_event(ended, status, error)});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict) return false;  // the app was changed just now: once more
  context.log.info("plugin_deployed", {{"slot", plugin_slot(app.value)}, {"status", status}, {"error", error}});
  return true;
}

/// Asks the node, and remembers the change's id, so that the next instance of this plugin can ask how it ended.
Outcome<bool> begin(Context& context, const Kv& app, const Kv& deployment, const json::object& release,
                    const json::object& plugin) {
  // An operator's swap runs: what it leads to decides what there is to do.
  if (!flag_of(plugin, "settled", true)) return false;
  auto order = order_of(context, release, plugin);
  if (!order && order.error().status >= 500) return order.error();
  if (!order) return finish(context, app, deployment, release, order.error().message);
  auto asked = ask_node(context, order->method, order->body);
  if (!asked && asked.error().status >= 500) return asked.error();
  if (!asked) return finish(context, app, deployment, release, asked.error().message);
  json::object running = deployment.value;
  running["status"] = "running";
  running["_change"] = text_of(*asked, "change");
  Change change;
  change.require(deployment.key, deployment.mod_revision).put(deployment.key, running);
  std::string app_id = text_of(app.value, "id");
  change.event({app_id, "deployment", text_of(running, "id"), deployment_event(running, "running", "")});
  if (Verdict bad = context.store.must_commit(change)) return *bad;
  return false;
}

/// How the change that was asked for stands.
Outcome<bool> follow(Context& context, const Kv& app, const Kv& deployment, const json::object& release,
                     const json::object& plugin) {
  auto asked = ask_node(context, "Change", {{"change", text_of(deployment.value, "_change")}});
  if (!asked && asked.error().status >= 500) return asked.error();
  if (!asked) {
    // The host has been restarted since, and forgot. What runs is the truth.
    bool in_force = is_in_force(context, release, plugin);
    return finish(context, app, deployment, release,
                  in_force ? "" : "the host was restarted before it was done: deploy the release again");
  }
  std::string state = text_of(*asked, "state");
  // The drain of the old instance may take long, and is nobody's business here.
  if (state == "done" || flag_of(*asked, "in_force")) return finish(context, app, deployment, release, "");
  if (state == "failed")
    return finish(context, app, deployment, release, text_of(object_of(*asked, "error"), "message", "unknown"));
  return false;
}

}  // namespace

Outcome<HttpResponse> deploy_plugin(Context& context, const Kv& app, const Kv& release) {
  auto plugin = node_plugin(context, plugin_slot(app.value));
  if (!plugin) return plugin.error();
  // What can't be carried out is refused here, in the answer; what fails later is told by the deployment.
  if (auto order = order_of(context, release.value, *plugin); !order) return order.error();
  std::string app_id = text_of(app.value, "id");
  json::object deployment = new_deployment(app.value, text_of(release.value, "id"));
  std::string id = text_of(deployment, "id");
  json::object lock{{"app", app_id}, {"deployment", id}, {"plugin", plugin_slot(app.value)}};
  Change change;
  change.require(deploying_key(app_id), 0).put(deploying_key(app_id), std::move(lock));
  change.put(deployment_key(app_id, id), deployment).put(note_key("deployments", id), {{"app", app_id}});
  change.event({app_id, "deployment", id, deployment_event(deployment, "pending", "")});
  auto done = context.store.commit(change);
  if (!done) return done.error();
  if (*done == Commit::conflict)
    return validation("", "Cannot create deploy, there is already one in progress for this app.");
  context.plugins_changed();
  return json_answer(public_form(deployment));
}

Outcome<bool> move_plugin_deployment(Context& context, const Kv& app, const std::string& deployment_id,
                                     const json::object& plugin) {
  std::string app_id = text_of(app.value, "id");
  auto deployment = context.store.get(deployment_key(app_id, deployment_id));
  if (!deployment) return deployment.error();
  auto release = *deployment ? context.store.get(release_key(text_of((*deployment)->value, "new_release")))
                             : Outcome<std::optional<Kv>>(std::optional<Kv>{});
  if (!release) return release.error();
  if (!*release) {  // deleted meanwhile, and with it the deployment's purpose
    if (Verdict bad = context.store.must_commit(Change().remove(deploying_key(app_id)))) return *bad;
    return true;
  }
  return text_of((*deployment)->value, "_change").empty()
             ? begin(context, app, **deployment, (*release)->value, plugin)
             : follow(context, app, **deployment, (*release)->value, plugin);
}

}  // namespace flynn::controller
