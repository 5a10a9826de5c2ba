// The calls that look (Cell, Explain) and Commit, other schedulers' way in.
#include <algorithm>
#include <set>

#include "job_spec.h"
#include "restart_backoff.h"
#include "scheduler.h"

namespace flynn::scheduler {
namespace {

constexpr std::size_t kClaimsMax = 1000;

json::object resources_document(const Resources& resources) {
  return {{"memory_bytes", resources.memory_bytes}, {"cpu_millis", resources.cpu_millis}};
}

std::string seconds_until(TimeMs at, TimeMs now) {
  return std::to_string((std::max<TimeMs>(at - now, 0) + 999) / 1000) + " s";
}

std::string job_line(const CellState& state, const JobState& job, TimeMs now) {
  std::string line = "job " + job.id + " (" + (job.type.empty() ? job.kind : job.type) + ") on " + job.host_id + ": " +
                     std::string(phase_name(job.phase));
  if (job.stop_requested && job.phase != JobPhase::down) line += ", asked to stop";
  if (!state.hosts.contains(job.host_id) && job.occupies()) line += ", its host does not answer";
  if (job.phase != JobPhase::down) return line;
  line += ", exit status " + std::to_string(job.exit_status);
  if (!job.error.empty()) line += ", " + job.error;
  if (job.has_spec && job.kind == "service" && !job.stop_requested) {
    const auto restart = restart_after(job);
    line += ", replaced in " + seconds_until(restart.not_before, now) + " (it ended " +
            std::to_string(restart.restarts) + " times in a row)";
  }
  return line;
}

struct Claim {
  json::object spec;
  std::string id, host_id;
};

Result<std::vector<Claim>> claims_of(const json::object& request) {
  const auto* list = find_array(request, "claims");
  if (list == nullptr || list->empty() || list->size() > kClaimsMax)
    return Error{Code::invalid_argument, "member \"claims\" must be a list of 1 to 1000"};
  std::vector<Claim> claims;
  std::set<std::string> ids;
  for (const auto& item : *list) {
    const auto* claim = item.if_object();
    const auto* job = claim == nullptr ? nullptr : find_object(*claim, "job");
    if (job == nullptr) return Error{Code::invalid_argument, "a claim must be {host_id, job}"};
    auto host_id = require_string(*claim, "host_id");
    if (!host_id) return host_id.error();
    auto spec = complete_job_spec(*job, now_rfc3339());
    if (!spec) return spec.error().context("job of a claim");
    (*spec)["host_id"] = *host_id;
    auto id = string_or(*spec, "id");
    if (!ids.insert(id).second) return Error{Code::invalid_argument, "job " + id + " is claimed twice"};
    claims.push_back({std::move(*spec), std::move(id), std::move(*host_id)});
  }
  return claims;
}

Change change_of(const CellState& state, Claim& claim) {
  Change change;
  change.subject = claim.id;
  change.unchanged.emplace_back("jobs/index/" + claim.id, 0);
  change.alive.emplace_back("hosts/" + claim.host_id, state.hosts.at(claim.host_id).create_revision);
  change.puts.emplace_back("jobs/spec/" + claim.host_id + "/" + claim.id, std::move(claim.spec));
  change.puts.emplace_back("jobs/index/" + claim.id, json::object{{"v", 1}, {"host_id", claim.host_id}});
  return change;
}

json::object rejection(const std::string& id, const std::string& reason) {
  return {{"job_id", id}, {"reason", reason}};
}

}  // namespace

Result<json::object> Scheduler::commit(const json::object& request, Deadline deadline) {
  const auto mode = string_or(request, "mode", "incremental");
  if (mode != "incremental" && mode != "all_or_nothing")
    return Error{Code::invalid_argument, "member \"mode\" must be \"incremental\" or \"all_or_nothing\""};
  const bool all_or_nothing = mode == "all_or_nothing";
  auto claims = claims_of(request);
  if (!claims) return claims.error();
  const std::lock_guard lock(commit_mutex_);
  if (auto ready = wait_ready(deadline); !ready) return ready.error();
  Overcommit overcommit;
  {
    const std::lock_guard options_lock(options_mutex_);
    overcommit = options_.overcommit;
  }
  std::vector<Change> changes;
  json::array rejected;
  mirror_.with_state([&](CellState& state) {
    HostLoads loads(state, overcommit);
    for (auto& claim : *claims) {
      const auto placement = placement_request(claim.spec);
      if (auto fits = loads.check_fit(claim.host_id, placement.claim); !fits) {
        rejected.push_back(rejection(claim.id, fits.error().message));
        continue;
      }
      loads.claim(claim.host_id, placement);
      changes.push_back(change_of(state, claim));
    }
  });
  if (all_or_nothing && !rejected.empty())
    return Error{Code::conflict, "not all claims fit: " + string_or(rejected[0].get_object(), "reason")};
  auto outcome = all_or_nothing ? committer_.commit_all_or_nothing(changes, leadership_.token())
                                : committer_.commit(changes, leadership_.token());
  if (!outcome) return outcome.error().context("commit the claims");
  last_commit_ = std::max(last_commit_, outcome->revision);
  for (const auto& id : outcome->conflicts)
    rejected.push_back(rejection(id, "the job exists already or its host has gone"));
  return json::object{{"accepted", json::array(outcome->committed.begin(), outcome->committed.end())},
                      {"rejected", std::move(rejected)}};
}

Result<json::object> Scheduler::cell() {
  Overcommit overcommit;
  {
    const std::lock_guard options_lock(options_mutex_);
    overcommit = options_.overcommit;
  }
  json::array hosts;
  mirror_.with_state([&](CellState& state) {
    const HostLoads loads(state, overcommit);
    for (const auto& [id, load] : loads.hosts())
      hosts.push_back({{"id", id},
                       {"addr", load.host->addr},
                       {"capacity", resources_document(load.host->capacity)},
                       {"schedulable", resources_document(load.limit)},
                       {"used", resources_document(load.used)},
                       {"jobs", load.jobs}});
  });
  return json::object{{"hosts", std::move(hosts)}, {"leading", leadership_.held()}};
}

Result<json::object> Scheduler::explain(const json::object& request) {
  const auto job_id = string_or(request, "job_id"), app_id = string_or(request, "app_id");
  if (job_id.empty() && app_id.empty())
    return Error{Code::invalid_argument, "member \"job_id\" or \"app_id\" is missing"};
  const TimeMs now = now_ms();
  json::array lines;
  std::map<std::string, std::string> unplaced;
  {
    const std::lock_guard lock(unplaced_mutex_);
    unplaced = unplaced_;
  }
  mirror_.with_state([&](CellState& state) {
    if (!job_id.empty()) {
      if (const auto job = state.jobs.find(job_id); job != state.jobs.end())
        lines.push_back(json::string(job_line(state, job->second, now)));
      return;
    }
    if (!state.apps.contains(app_id)) lines.push_back("there is no such app: its formations count as zero");
    for (const auto& [key, formation] : state.formations) {
      if (formation.app_id != app_id) continue;
      for (const auto& [type, count] : formation.processes) {
        const auto live =
            std::count_if(state.jobs.begin(), state.jobs.end(), [&, &t = type, &f = formation](const auto& item) {
              const auto& job = item.second;
              return job.live() && job.app_id == f.app_id && job.release_id == f.release_id && job.type == t;
            });
        std::string line = "release " + formation.release_id + ": " + type + " wanted " + std::to_string(count) +
                           ", placed " + std::to_string(live);
        if (const auto why = unplaced.find(key + " " + type); why != unplaced.end() && live < count)
          line += ": " + why->second;
        lines.push_back(json::string(line));
      }
    }
    for (const auto& [id, job] : state.jobs)
      if (job.app_id == app_id && job.has_spec) lines.push_back(json::string(job_line(state, job, now)));
  });
  if (lines.empty() && !job_id.empty()) return Error{Code::not_found, "there is no job " + job_id};
  if (!leadership_.held())
    lines.push_back("this scheduler does not lead the cell: nothing is started or stopped by it");
  return json::object{{"lines", std::move(lines)}};
}

}  // namespace flynn::scheduler
