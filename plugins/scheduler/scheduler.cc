#include "scheduler.h"

#include <algorithm>

#include "flynn/sdk/uuid.h"
#include "job_spec.h"

namespace flynn::scheduler {
namespace {

constexpr TimeMs kRenewEveryMs = 3'000;
constexpr int kCampaignRetryMs = 200;
constexpr TimeMs kRetryPlanMs = 1'000;
// A job that found no room is tried again on every change and at least this often.
constexpr TimeMs kRetryUnplacedMs = 5'000;
constexpr auto kCatchUp = std::chrono::seconds(2);

std::string job_key(const char* kind, const std::string& host, const std::string& job) {
  return std::string("jobs/") + kind + "/" + host + "/" + job;
}

}  // namespace

TimeMs now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

Scheduler::Scheduler(Door& door, Log& log, SchedulerOptions options, std::string node)
    : door_(door),
      log_(log),
      options_(options),
      mirror_(door, log, [this] { note_change(); }),
      leadership_(door, std::move(node), new_uuid()),
      committer_(door, std::string(kLeaderKey)) {}

void Scheduler::start() { mirror_.start(); }

void Scheduler::activate() {
  // Resumed: the lease may end with the instance that had it meanwhile.
  if (std::exchange(handed_over_, false)) leadership_.forget();
  activated_ = true;
  worker_.start("sched-plan", [this](const StopSignal& stop) { lead(stop); });
}

void Scheduler::quiesce() {
  worker_.ask_stop();
  note_change();
  worker_.stop();
}

json::object Scheduler::hand_over() {
  const std::lock_guard lock(commit_mutex_);
  if (!leadership_.held()) return {};
  handed_over_ = true;
  return {{"lease", leadership_.lease()}, {"token", leadership_.token()}, {"revision", last_commit_}};
}

void Scheduler::take_over(const json::object& lead) {
  const std::lock_guard lock(commit_mutex_);
  if (int_or(lead, "token") == 0) return;
  leadership_.adopt(string_or(lead, "lease"), int_or(lead, "token"));
  last_commit_ = int_or(lead, "revision");
  behind_ = false;
}

void Scheduler::stop() {
  quiesce();
  {
    const std::lock_guard lock(commit_mutex_);
    if (activated_ && !handed_over_) leadership_.release();
  }
  mirror_.stop();
}

Result<void> Scheduler::health() const {
  if (!mirror_.complete()) return Error{Code::unavailable, "the cell's state has not been read from the store yet"};
  return {};
}

void Scheduler::configure(const SchedulerOptions& options) {
  const std::lock_guard lock(options_mutex_);
  options_ = options;
}

void Scheduler::note_change() {
  {
    const std::lock_guard lock(change_mutex_);
    dirty_ = true;
  }
  changed_.notify_all();
}

bool Scheduler::wait_for_change(const StopSignal& stop, TimeMs until_ms) {
  std::unique_lock lock(change_mutex_);
  const auto wait = std::chrono::milliseconds(std::max<TimeMs>(until_ms - now_ms(), 0));
  changed_.wait_for(lock, wait, [&] { return dirty_ || stop.asked(); });
  return std::exchange(dirty_, false);
}

bool Scheduler::campaign(const StopSignal& stop) {
  bool told = false;
  while (!stop.asked()) {
    {
      const std::lock_guard lock(commit_mutex_);
      if (leadership_.held()) return true;  // handed over to us
      auto leads = leadership_.try_acquire();
      if (leads && *leads) {
        log_.info("scheduler_leads", {{"token", leadership_.token()}});
        return true;
      }
      if (!told && leads) log_.info("scheduler_waits_for_lead", {});
      if (!leads) log_.warn("scheduler_campaign_failed", {{"error", leads.error().message}});
      told = true;
    }
    stop.wait(kCampaignRetryMs);
  }
  return false;
}

void Scheduler::lead(const StopSignal& stop) {
  while (campaign(stop)) {
    TimeMs renew_at = now_ms() + kRenewEveryMs, plan_at = 0;
    bool changed = true;
    while (!stop.asked() && leadership_.held()) {
      if (now_ms() >= renew_at) {
        renew_at = now_ms() + kRenewEveryMs;
        auto renewed = leadership_.renew();
        // Unavailable is no proof of loss: every write is fenced, so going on is safe.
        if (!renewed && renewed.error().code == Code::not_found) leadership_.forget();
      }
      if (leadership_.held() && mirror_.complete() && (changed || (plan_at != 0 && now_ms() >= plan_at))) {
        auto next = plan_once();
        if (!next) log_.warn("scheduler_plan_failed", {{"error", next.error().message}});
        plan_at = next ? *next : now_ms() + kRetryPlanMs;
        if (!next && next.error().code == Code::conflict) leadership_.forget();
      }
      changed = wait_for_change(stop, plan_at == 0 ? renew_at : std::min(renew_at, plan_at));
    }
    if (!stop.asked()) log_.warn("scheduler_lead_lost", {});
  }
}

std::optional<Change> Scheduler::start_change(CellState& state, HostLoads& loads, const StartJob& start,
                                              const std::string& at) {
  const auto& formation = state.formations.at(start.formation_key);
  const std::string place_key = start.formation_key + " " + start.type;
  const auto unplaced = [&](const Error& error) {
    const std::lock_guard lock(unplaced_mutex_);
    auto& why = unplaced_[place_key];
    if (why != error.message)
      log_.warn("job_not_placed", {{"formation", start.formation_key}, {"type", start.type}, {"error", error.message}});
    why = error.message;
  };
  const std::string job_id = new_uuid();
  auto spec = make_job_spec(state,
                            {{"app_id", formation.app_id},
                             {"release_id", formation.release_id},
                             {"kind", "service"},
                             {"type", start.type},
                             {"restarts", start.restarts}},
                            job_id, at);
  if (!spec) return unplaced(spec.error()), std::nullopt;
  Request request = placement_request(*spec);
  request.only_host = start.only_host;
  if (const auto tags = formation.tags.find(start.type); tags != formation.tags.end()) request.tags = tags->second;
  auto host = loads.place(request);
  if (!host) return unplaced(host.error()), std::nullopt;
  loads.claim(*host, request);
  (*spec)["host_id"] = *host;
  Change change;
  change.subject = job_id;
  change.unchanged.emplace_back(start.formation_key, formation.mod_revision);
  change.alive.emplace_back("hosts/" + *host, state.hosts.at(*host).create_revision);
  change.puts.emplace_back(job_key("spec", *host, job_id), std::move(*spec));
  change.puts.emplace_back("jobs/index/" + job_id, json::object{{"v", 1}, {"host_id", *host}});
  if (!start.replaces.empty()) {
    const auto& ended = state.jobs.at(start.replaces);
    change.erases = {job_key("spec", ended.host_id, ended.id), "jobs/index/" + ended.id};
  }
  return change;
}

std::vector<Change> Scheduler::changes_of(CellState& state, const Plan& plan, TimeMs now) {
  std::vector<Change> changes;
  const std::string at = rfc3339(std::chrono::system_clock::time_point(std::chrono::milliseconds(now)));
  for (const auto& stop : plan.stops) {
    Change change;
    change.subject = stop.job_id;
    change.puts.emplace_back(job_key("stop", stop.host_id, stop.job_id),
                             json::object{{"v", 1}, {"reason", stop.reason}, {"at", at}});
    changes.push_back(std::move(change));
  }
  for (const auto& clear : plan.clears) {
    Change change;
    change.subject = clear.job_id;
    change.erases = {job_key("spec", clear.host_id, clear.job_id), "jobs/index/" + clear.job_id};
    if (clear.had_stop) change.erases.push_back(job_key("stop", clear.host_id, clear.job_id));
    changes.push_back(std::move(change));
  }
  for (const auto& prune : plan.status_prunes) {
    Change change;
    change.subject = prune.job_id;
    change.erases.push_back(job_key("status", prune.host_id, prune.job_id));
    changes.push_back(std::move(change));
  }
  {
    const std::lock_guard lock(unplaced_mutex_);
    if (plan.starts.empty()) unplaced_.clear();
  }
  SchedulerOptions options;
  {
    const std::lock_guard lock(options_mutex_);
    options = options_;
  }
  HostLoads loads(state, options.overcommit);
  for (const auto& start : plan.starts)
    if (auto change = start_change(state, loads, start, at)) changes.push_back(std::move(*change));
  return changes;
}

// The host that would write the end of a lost job is gone, so the leader does, once.
void Scheduler::end_lost_statuses(std::vector<Change>& changes, const Plan& plan) {
  for (const auto& clear : plan.clears) {
    if (!clear.lost) continue;
    const auto key = job_key("status", clear.host_id, clear.job_id);
    auto status = StoreClient(door_).get(key);
    if (!status || !*status || !(*status)->value.is_object()) continue;
    auto ended = (*status)->value.as_object();
    ended["state"] = "down";
    ended["error"] = "host " + clear.host_id + " is gone; the job was replaced";
    ended["ended_at"] = ended["updated_at"] = now_rfc3339();
    for (auto& change : changes)
      if (change.subject == clear.job_id) change.puts.emplace_back(key, std::move(ended));
  }
}

// What was committed before us must be in the mirror before we plan, or a job would be started twice.
Result<void> Scheduler::see_predecessors_jobs() {
  if (!behind_) return {};
  auto jobs = StoreClient(door_).range("jobs/");
  if (!jobs) return jobs.error().context("read the jobs");
  for (const auto& job : jobs->kvs) last_commit_ = std::max(last_commit_, job.mod_revision);
  behind_ = false;
  return {};
}

Result<TimeMs> Scheduler::plan_once() {
  const std::lock_guard lock(commit_mutex_);
  if (auto seen = see_predecessors_jobs(); !seen) return seen.error();
  if (!mirror_.wait_for_jobs(last_commit_, Deadline::after(kCatchUp)))
    if (auto read = mirror_.reread_jobs(); !read) return read.error();
  PlanOptions options;
  {
    const std::lock_guard options_lock(options_mutex_);
    options = options_.plan;
  }
  Plan plan;
  std::vector<Change> changes;
  const TimeMs now = now_ms();
  mirror_.with_state([&](CellState& state) {
    state.note_absent_hosts(now);
    plan = plan_cell(state, now, options);
    changes = changes_of(state, plan, now);
  });
  end_lost_statuses(changes, plan);
  if (changes.empty()) return plan.starts.empty() ? plan.next_ms : now + kRetryUnplacedMs;
  auto outcome = committer_.commit(changes, leadership_.token());
  if (!outcome) return outcome.error();
  last_commit_ = std::max(last_commit_, outcome->revision);
  log_.info("cell_planned", {{"starts", plan.starts.size()},
                             {"stops", plan.stops.size()},
                             {"clears", plan.clears.size()},
                             {"conflicts", outcome->conflicts.size()}});
  note_change();  // what we wrote may call for more
  return now + kRetryPlanMs;
}

Result<void> Scheduler::wait_ready(Deadline deadline) {
  if (!leadership_.held() || !mirror_.complete())
    return Error{Code::unavailable, "this scheduler does not lead the cell (yet); try again"};
  const auto limit = Deadline::after(kCatchUp);
  if (!mirror_.wait_for_jobs(last_commit_, deadline.is_none() || limit.left() < deadline.left() ? limit : deadline))
    return Error{Code::unavailable, "the store's watch is behind; try again"};
  return {};
}

Result<json::object> Scheduler::run(const json::object& request, Deadline deadline) {
  const auto kind = string_or(request, "kind", "one_off");
  if (kind != "one_off" && kind != "build")
    return Error{Code::invalid_argument, "member \"kind\" must be \"one_off\" or \"build\""};
  mirror_.read_through(request);
  const std::lock_guard lock(commit_mutex_);
  if (auto ready = wait_ready(deadline); !ready) return ready.error();
  const std::string job_id = new_uuid();
  Overcommit overcommit;
  {
    const std::lock_guard options_lock(options_mutex_);
    overcommit = options_.overcommit;
  }
  Change change;
  std::string host_id;
  auto planned = mirror_.with_state([&](CellState& state) -> Result<void> {
    auto spec = make_job_spec(state, request, job_id, now_rfc3339());
    if (!spec) return spec.error();
    auto host = HostLoads(state, overcommit).place(placement_request(*spec));
    if (!host) return host.error();
    host_id = *host;
    (*spec)["host_id"] = host_id;
    change.alive.emplace_back("hosts/" + host_id, state.hosts.at(host_id).create_revision);
    change.puts.emplace_back(job_key("spec", host_id, job_id), std::move(*spec));
    change.puts.emplace_back("jobs/index/" + job_id, json::object{{"v", 1}, {"host_id", host_id}});
    return {};
  });
  if (!planned) return planned.error();
  auto outcome = committer_.commit_all_or_nothing({change}, leadership_.token());
  if (!outcome) {
    if (outcome.error().code != Code::conflict) return outcome.error().context("commit the job");
    return Error{Code::unavailable, "the cell changed while the job was placed; try again"};
  }
  last_commit_ = std::max(last_commit_, outcome->revision);
  return json::object{{"job_id", job_id}, {"host_id", host_id}};
}

Result<json::object> Scheduler::stop_job(const json::object& request, Deadline deadline) {
  auto job_id = require_string(request, "job_id");
  if (!job_id) return job_id.error();
  const std::lock_guard lock(commit_mutex_);
  if (auto ready = wait_ready(deadline); !ready) return ready.error();
  std::string host_id;
  bool already = false;
  mirror_.with_state([&](CellState& state) {
    const auto job = state.jobs.find(*job_id);
    if (job == state.jobs.end() || !job->second.occupies()) return;
    host_id = job->second.host_id;
    already = job->second.stop_requested;
  });
  if (host_id.empty()) return Error{Code::not_found, "there is no running job " + *job_id};
  if (already) return json::object{};
  Change change;
  change.subject = *job_id;
  change.puts.emplace_back(
      job_key("stop", host_id, *job_id),
      json::object{{"v", 1}, {"reason", string_or(request, "reason", "asked to stop")}, {"at", now_rfc3339()}});
  auto outcome = committer_.commit({change}, leadership_.token());
  if (!outcome) return outcome.error().context("stop job " + *job_id);
  last_commit_ = std::max(last_commit_, outcome->revision);
  return json::object{};
}

}  // namespace flynn::scheduler
