#include "reconciler.h"

#include <algorithm>
#include <set>

#include "deployment_runner.h"
#include "deployments.h"
#include "formations.h"

namespace flynn::controller {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{3000};
constexpr milliseconds kTickBusy{250};  // deployments have time limits
constexpr milliseconds kRetry{500};

Counts counts_of(const json::object& processes) {
  Counts out;
  for (const auto& entry : processes) out[std::string(entry.key())] = number_of(processes, entry.key());
  return out;
}

/// Every type has as many jobs as asked for, all of them up, and none that is still ending.
bool is_satisfied(const Counts& wanted, const JobCounts& jobs) {
  for (const auto& [type, count] : wanted) {
    if (count_of(jobs.up, type) != count || count_of(jobs.running, type) != count) return false;
  }
  for (const auto& [type, count] : jobs.running) {
    if (count > 0 && count_of(wanted, type) != count) return false;
  }
  return true;
}

}  // namespace

void Reconciler::start(std::function<void()> on_tick) {
  if (worker_.running()) return;
  worker_.start("ctl-reconcile", [this, on_tick = std::move(on_tick)](const StopSignal& stop) { run(stop, on_tick); });
}

void Reconciler::begin() {
  begun_ = true;
  context_.work_changed = true;
}

void Reconciler::stop() {
  worker_.ask_stop();
  context_.jobs.notify();
  worker_.stop();
}

void Reconciler::run(const StopSignal& stop, const std::function<void()>& on_tick) {
  auto next_tick = std::chrono::steady_clock::now();
  while (!stop.asked()) {
    // Seen before the gate is asked: who opens it notifies.
    const std::uint64_t seen = context_.jobs.version();
    milliseconds pause = kTick;
    bool good = true;
    if (const auto pass = context_.gate.enter()) {
      const auto now = std::chrono::steady_clock::now();
      if (begun_.exchange(false)) {
        noted_loaded_ = false;
        next_tick = now;
      }
      if (now >= next_tick) {
        on_tick();
        next_tick = now + kTick;
      }
      good = round();
      if (!deployments_.empty()) pause = kTickBusy;
    }
    if (!good)
      stop.wait(static_cast<int>(kRetry.count()));
    else if (!stop.asked())
      context_.jobs.wait_change(seen, pause);
  }
}

bool Reconciler::round() {
  try {
    return reconcile();
  } catch (const std::exception& e) {
    context_.log.error("reconcile_failed", {{"error", e.what()}});
    return false;
  }
}

bool Reconciler::reconcile() {
  // A swap waits for us: between two steps, the next instance may go on as well. begin() has all read anew.
  if (!load_noted_jobs()) return false;
  if (context_.stopping) return true;
  if (!reload_work()) return false;
  if (context_.stopping) return true;
  if (!tell_job_changes()) return false;
  for (auto it = deployments_.begin(); it != deployments_.end();) {
    if (context_.stopping) return true;
    auto state = move_deployment(context_, it->first, it->second);
    if (!state) {
      context_.log.warn("deployment_not_moved", {{"deployment", it->second}, {"error", state.error().message}});
      return false;
    }
    it = *state == DeploymentState::finished ? deployments_.erase(it) : std::next(it);
  }
  deployments_running_ = deployments_.size();
  return check_scales();
}

bool Reconciler::load_noted_jobs() {
  if (noted_loaded_) return true;
  std::string prefix = note_key("job-events", "");
  auto notes = context_.store.range(prefix);
  if (!notes) return false;
  noted_jobs_.clear();
  for (const Kv& kv : *notes) noted_jobs_[kv.key.substr(prefix.size())] = text_of(kv.value, "state");
  noted_loaded_ = true;
  drop_told_changes();
  return true;
}

void Reconciler::take_job_changes() {
  JobCache::Changes fresh = context_.jobs.take_changes();
  std::move(fresh.statuses.begin(), fresh.statuses.end(), std::back_inserter(untold_.statuses));
  std::move(fresh.gone.begin(), fresh.gone.end(), std::back_inserter(untold_.gone));
}

/// The cache fills while another instance works, which has told of a job all up to the state that it noted.
void Reconciler::drop_told_changes() {
  take_job_changes();
  std::set<std::string> told;
  std::vector<json::object> untold;
  for (auto status = untold_.statuses.rbegin(); status != untold_.statuses.rend(); ++status) {
    const std::string uuid = text_of(*status, "id");
    const auto noted = noted_jobs_.find(uuid);
    if (noted != noted_jobs_.end() && noted->second == text_of(*status, "state")) told.insert(uuid);
    if (!told.contains(uuid)) untold.push_back(std::move(*status));
  }
  std::reverse(untold.begin(), untold.end());
  untold_.statuses = std::move(untold);
}

bool Reconciler::tell_job_changes() {
  take_job_changes();
  std::size_t told = 0;
  for (; told < untold_.statuses.size(); ++told) {
    if (!tell(untold_.statuses[told])) break;
  }
  bool all = told == untold_.statuses.size();
  untold_.statuses.erase(untold_.statuses.begin(), untold_.statuses.begin() + static_cast<std::ptrdiff_t>(told));
  if (!all) return false;
  while (!untold_.gone.empty()) {
    auto done = context_.store.commit(Change().remove(note_key("job-events", untold_.gone.back())));
    if (!done) return false;
    noted_jobs_.erase(untold_.gone.back());
    untold_.gone.pop_back();
  }
  return true;
}

/// One event for each state of a job; the note makes that true across restarts, too.
bool Reconciler::tell(const json::object& status) {
  json::object job = job_of_status(status);
  std::string uuid = text_of(job, "uuid");
  std::string state = text_of(job, "state");
  auto noted = noted_jobs_.find(uuid);
  if (noted != noted_jobs_.end() && noted->second == state) return true;
  Change change;
  change.put(note_key("job-events", uuid), {{"state", state}});
  change.event({text_of(job, "app"), "job", text_of(job, "id"), job});
  add_deployment_progress(status, change);
  auto done = context_.store.commit(change);
  if (!done) {
    context_.log.warn("job_event_not_written", {{"job", uuid}, {"error", done.error().message}});
    return false;
  }
  noted_jobs_[uuid] = state;
  return true;
}

void Reconciler::add_deployment_progress(const json::object& status, Change& change) {
  std::string app = text_of(status, "app_id");
  auto running = deployments_.find(app);
  if (running == deployments_.end() || text_of(status, "type").empty()) return;
  change.event({app, "deployment", running->second,
                json::object{{"app", app},
                             {"deployment", running->second},
                             {"release", text_of(status, "release_id")},
                             {"status", "running"},
                             {"job_type", text_of(status, "type")},
                             {"job_state", text_of(status, "state")},
                             {"error", ""}}});
}

bool Reconciler::reload_work() {
  if (!context_.work_changed.exchange(false)) return true;
  auto deploying = context_.store.range(note_key("deploying", ""));
  auto scaling = context_.store.range(note_key("scaling", ""));
  if (!deploying || !scaling) {
    context_.work_changed = true;
    return false;
  }
  deployments_.clear();
  scales_.clear();
  for (const Kv& kv : *deploying) {
    if (!text_of(kv.value, "plugin").empty()) continue;  // SystemAppMirror's
    deployments_[text_of(kv.value, "app")] = text_of(kv.value, "deployment");
  }
  for (Kv& kv : *scaling) scales_[kv.key] = std::move(kv.value);
  deployments_running_ = deployments_.size();
  return true;
}

bool Reconciler::check_scales() {
  for (auto it = scales_.begin(); it != scales_.end();) {
    std::string app = text_of(it->second, "app");
    std::string release = text_of(it->second, "release");
    auto formation = context_.store.get(formation_key(app, release));
    auto scale = context_.store.get(scale_key(app, text_of(it->second, "scale_request")));
    auto lock = context_.store.get(it->first);
    if (!formation || !scale || !lock) return false;
    // A newer request may have replaced the lock since the list was read; the next kick brings it.
    bool ours = *lock && text_of((*lock)->value, "scale_request") == text_of(it->second, "scale_request");
    if (!ours) {
      it = scales_.erase(it);
      continue;
    }
    json::object processes = *formation ? object_of((*formation)->value, "processes") : json::object{};
    if (*scale && !is_satisfied(counts_of(processes), context_.jobs.count(app, release))) {
      ++it;
      continue;
    }
    // Clients stop listening at the last event of the request: what the count has seen is told before it.
    if (!tell_job_changes()) return false;
    Change change;
    change.require(it->first, (*lock)->mod_revision).remove(it->first);
    if (*scale) {
      json::object done = (*scale)->value;
      done["state"] = "complete";
      done["updated_at"] = now_text();
      change.require((*scale)->key, (*scale)->mod_revision).put((*scale)->key, done);
      change.event({app, "scale_request", text_of(done, "id"), public_form(done)});
    }
    if (!context_.store.commit(change)) return false;
    it = scales_.erase(it);
  }
  return true;
}

}  // namespace flynn::controller
