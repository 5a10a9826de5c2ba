#include "deployment_runner.h"

#include "deployment_words.h"
#include "deployments.h"
#include "formations.h"
#include "releases.h"

namespace flynn::controller {
namespace {

/// All that a step is decided from, with the revisions that it must still have when it is written.
struct Situation {
  Kv app, deployment, release;
  std::optional<Kv> old_formation, new_formation;
  std::string old_id, new_id;
};

json::object processes_of(const Counts& counts) {
  json::object out;
  for (const auto& [type, count] : counts) out[type] = count;
  return out;
}

Counts counts_of(const json::object& processes) {
  Counts out;
  for (const auto& entry : processes) out[std::string(entry.key())] = number_of(processes, entry.key());
  return out;
}

Counts formation_counts(const std::optional<Kv>& formation) {
  return formation ? counts_of(object_of(formation->value, "processes")) : Counts{};
}

Outcome<std::optional<Situation>> read_situation(Context& context, const std::string& app_id,
                                                 const std::string& deployment_id) {
  auto deployment = context.store.get(deployment_key(app_id, deployment_id));
  if (!deployment) return deployment.error();
  auto app = context.store.get(app_key(app_id));
  if (!app) return app.error();
  if (!*deployment || !*app) return std::optional<Situation>{};
  Situation out;
  out.old_id = text_of((*deployment)->value, "old_release");
  out.new_id = text_of((*deployment)->value, "new_release");
  auto release = context.store.get(release_key(out.new_id));
  if (!release) return release.error();
  if (!*release) return std::optional<Situation>{};
  auto old_formation = context.store.get(formation_key(app_id, out.old_id));
  auto new_formation = context.store.get(formation_key(app_id, out.new_id));
  if (!old_formation) return old_formation.error();
  if (!new_formation) return new_formation.error();
  out.app = std::move(**app);
  out.deployment = std::move(**deployment);
  out.release = std::move(**release);
  out.old_formation = std::move(*old_formation);
  out.new_formation = std::move(*new_formation);
  return std::optional<Situation>(std::move(out));
}

/// New jobs that ended since the deployment began, and what the newest of them said.
void count_downs(Context& context, const Situation& now, DeploymentView& view) {
  std::string since = text_of(now.deployment.value, "created_at");
  for (const json::object& job : context.jobs.of_app(text_of(now.app.value, "id"))) {
    if (text_of(job, "release") != now.new_id || text_of(job, "state") != "down") continue;
    if (text_of(job, "created_at") < since || text_of(job, "type").empty()) continue;
    if (++view.new_down > 1) continue;
    view.down_type = text_of(job, "type");
    view.down_error = text_of(job, "host_error");
    if (view.down_error.empty() && number_of(job, "exit_status") != 0) {
      view.down_error =
          "it ended with exit status " + std::to_string(number_of(job, "exit_status")) + "; see the app's log";
    }
  }
}

Outcome<DeploymentView> view_of(Context& context, const Situation& now) {
  const json::object& deployment = now.deployment.value;
  std::string app_id = text_of(now.app.value, "id");
  DeploymentView view;
  view.strategy = text_of(deployment, "strategy");
  view.batch = number_of(deployment, "deploy_batch_size");
  if (view.strategy == "in-batches" && view.batch <= 0) {
    auto hosts = context.store.count("hosts/");
    if (!hosts) return hosts.error();
    view.batch = *hosts;
  }
  json::object types = object_of(now.release.value, "processes");
  for (const auto& [type, count] : counts_of(object_of(deployment, "processes"))) {
    if (types.contains(type)) view.wanted[type] = count;
  }
  view.old_counts = formation_counts(now.old_formation);
  view.new_counts = formation_counts(now.new_formation);
  view.old_running = context.jobs.count(app_id, now.old_id).running;
  view.new_up = context.jobs.count(app_id, now.new_id).up;
  count_downs(context, now, view);
  std::string since = text_of(deployment, "_step_at", text_of(deployment, "created_at"));
  view.waited_ms = now_ms() - parse_time(since).value_or(now_ms());
  view.timeout_ms = number_of(deployment, "deploy_timeout", 120) * 1000;
  return view;
}

void require_all(const Situation& now, Change& change) {
  std::string app_id = text_of(now.app.value, "id");
  change.require(now.deployment.key, now.deployment.mod_revision);
  change.require(formation_key(app_id, now.old_id), now.old_formation ? now.old_formation->mod_revision : 0);
  change.require(formation_key(app_id, now.new_id), now.new_formation ? now.new_formation->mod_revision : 0);
}

void write_scale(const Situation& now, const DeploymentStep& step, Change& change) {
  std::string app_id = text_of(now.app.value, "id");
  json::object tags = object_of(now.deployment.value, "tags");
  json::object deployment = now.deployment.value;
  deployment["status"] = "running";
  deployment["_step_at"] = now_text();
  change.put(now.deployment.key, std::move(deployment));
  if (step.old_counts != formation_counts(now.old_formation)) {
    change.put(formation_key(app_id, now.old_id),
               new_formation(app_id, now.old_id, processes_of(step.old_counts), tags, now.old_formation));
  }
  if (step.new_counts != formation_counts(now.new_formation)) {
    change.put(formation_key(app_id, now.new_id),
               new_formation(app_id, now.new_id, processes_of(step.new_counts), tags, now.new_formation));
  }
}

void write_end(const Situation& now, const std::string& status, const std::string& error, Change& change) {
  std::string app_id = text_of(now.app.value, "id");
  json::object deployment = now.deployment.value;
  deployment["status"] = status;
  deployment["finished_at"] = now_text();
  change.event({app_id, "deployment", text_of(deployment, "id"), deployment_event(deployment, status, error)});
  change.put(now.deployment.key, std::move(deployment));
  change.remove(deploying_key(app_id));
}

/// The old jobs come back, the new ones go; the app's release has never changed.
void write_rollback(const Situation& now, const std::string& error, Change& change) {
  std::string app_id = text_of(now.app.value, "id");
  const json::object& deployment = now.deployment.value;
  change.put(formation_key(app_id, now.old_id), new_formation(app_id, now.old_id, object_of(deployment, "processes"),
                                                              object_of(deployment, "tags"), now.old_formation));
  change.remove(formation_key(app_id, now.new_id));
  write_end(now, "failed", error, change);
}

Verdict forget(Context& context, const std::string& app_id) {
  return context.store.must_commit(Change().remove(deploying_key(app_id)));
}

}  // namespace

Outcome<DeploymentState> move_deployment(Context& context, const std::string& app_id,
                                         const std::string& deployment_id) {
  auto read = read_situation(context, app_id, deployment_id);
  if (!read) return read.error();
  if (!*read) {  // the app or the release is gone, and with it the deployment's purpose
    if (Verdict bad = forget(context, app_id)) return *bad;
    return DeploymentState::finished;
  }
  const Situation& now = **read;
  auto view = view_of(context, now);
  if (!view) return view.error();
  DeploymentStep step = next_step(*view);
  if (step.kind == DeploymentStep::Kind::wait) return DeploymentState::unfinished;

  Change change;
  require_all(now, change);
  if (step.kind == DeploymentStep::Kind::scale) {
    write_scale(now, step, change);
  } else if (step.kind == DeploymentStep::Kind::complete) {
    change.remove(formation_key(app_id, now.old_id));
    if (Verdict bad = set_release(context, now.app, now.release.value, change)) return *bad;
    write_end(now, "complete", "", change);
  } else {
    const bool told = !view->down_error.empty() && step.error.find(view->down_error) != std::string::npos;
    const std::string why = told ? "" : why_not_up(context, app_id, now.release.value);
    write_rollback(now, step.error + (why.empty() ? "" : "; " + why), change);
  }
  auto done = context.store.commit(change);
  if (!done) return done.error();
  bool ended = *done == Commit::done && step.kind != DeploymentStep::Kind::scale;
  if (*done == Commit::done) {
    context.log.info("deployment_step", {{"deployment", deployment_id},
                                         {"app", app_id},
                                         {"step", step.kind == DeploymentStep::Kind::scale      ? "scale"
                                                  : step.kind == DeploymentStep::Kind::complete ? "complete"
                                                                                                : "failed"},
                                         {"error", step.error}});
  }
  context.jobs.notify();  // look again at once: the next step may be due already
  if (ended && step.kind == DeploymentStep::Kind::complete) {
    context.later("garbage of app " + app_id, [&context, app_id] {
      auto deleted = collect_garbage_of(context, app_id);
      if (!deleted) context.log.warn("garbage_not_collected", {{"app", app_id}, {"error", deleted.error().message}});
    });
  }
  return ended ? DeploymentState::finished : DeploymentState::unfinished;
}

}  // namespace flynn::controller
