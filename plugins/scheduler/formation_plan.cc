#include "formation_plan.h"

#include <algorithm>
#include <tuple>

#include "restart_backoff.h"

namespace flynn::scheduler {
namespace {

struct Group {
  std::vector<const JobState*> live, ended;
};
using Groups = std::map<std::pair<std::string, std::string>, Group>;  // by formation key and type

ClearJob clear_of(const JobState& job) { return {job.host_id, job.id, job.stop_requested, false}; }

class Planner {
 public:
  Planner(const CellState& cell, TimeMs now, const PlanOptions& options) : cell_(cell), now_(now), options_(options) {}

  Plan run() {
    sort_jobs();
    for (const auto& [key, formation] : cell_.formations) plan_formation(key, formation);
    for (const auto& [key, group] : groups_) drop(group, "the formation is gone");  // what no formation took
    prune_statuses();
    return std::move(plan_);
  }

 private:
  void wake_at(TimeMs at) {
    if (plan_.next_ms == 0 || at < plan_.next_ms) plan_.next_ms = at;
  }

  // A host that is away for a moment comes back with its jobs. They only count as lost when another can take over.
  bool is_lost(const JobState& job) {
    if (job.phase == JobPhase::down || cell_.hosts.contains(job.host_id) || cell_.hosts.empty()) return false;
    const auto absent = cell_.absent_hosts.find(job.host_id);
    if (absent == cell_.absent_hosts.end()) return false;
    const TimeMs lost_at = absent->second + options_.host_grace_ms;
    if (now_ < lost_at) wake_at(lost_at);
    return now_ >= lost_at;
  }

  void sort_jobs() {
    for (const auto& [id, job] : cell_.jobs) {
      if (!job.has_spec) {
        if (job.stop_requested) plan_.clears.push_back(clear_of(job));  // a stop that came too late
        continue;
      }
      if (is_lost(job)) {
        plan_.clears.push_back(clear_of(job));
        plan_.clears.back().lost = true;
        continue;
      }
      const bool down = job.phase == JobPhase::down;
      if (job.kind != "service" || job.stop_requested) {
        if (down) {
          plan_.clears.push_back(clear_of(job));
        } else if (!job.stop_requested && cell_.deleted_apps.contains(job.app_id)) {
          plan_.stops.push_back({job.host_id, job.id, "the app was deleted"});
        }
        continue;
      }
      auto& group = groups_[{"formations/" + job.app_id + "/" + job.release_id, job.type}];
      (down ? group.ended : group.live).push_back(&job);
    }
  }

  void plan_formation(const std::string& key, const FormationState& formation) {
    const auto app = cell_.apps.find(formation.app_id);
    if (app == cell_.apps.end() || find_string(app->second, "deleted_at")) return;  // a deleted app wants nothing
    for (const auto& [type, count] : formation.processes) {
      auto node = groups_.extract({key, type});
      plan_type(key, type, count, node ? node.mapped() : Group{});
    }
  }

  void plan_type(const std::string& key, const std::string& type, int count, Group group) {
    const int live = static_cast<int>(group.live.size());
    if (live > count) stop_surplus(group.live, live - count, "scaled down");
    int deficit = std::max(count - live, 0);
    std::sort(group.ended.begin(), group.ended.end(), [](const JobState* a, const JobState* b) {
      return std::tuple(restart_after(*a).not_before, a->id) < std::tuple(restart_after(*b).not_before, b->id);
    });
    for (const JobState* ended : group.ended) {
      const auto restart = restart_after(*ended);
      if (deficit == 0) {
        plan_.clears.push_back(clear_of(*ended));
        continue;
      }
      --deficit;  // its place is taken, also while it waits
      if (restart.not_before > now_) {
        wake_at(restart.not_before);
      } else {
        const bool pinned = ended->has_volumes && cell_.hosts.contains(ended->host_id);
        plan_.starts.push_back({key, type, restart.restarts, ended->id, pinned ? ended->host_id : std::string()});
      }
    }
    for (; deficit > 0; --deficit) plan_.starts.push_back({key, type, 0, {}, {}});
  }

  // Newest first, and those that serve nobody yet before those that do.
  void stop_surplus(std::vector<const JobState*> live, int surplus, const char* reason) {
    std::sort(live.begin(), live.end(), [](const JobState* a, const JobState* b) {
      const bool a_up = a->phase == JobPhase::up, b_up = b->phase == JobPhase::up;
      return std::tuple(a_up, -a->created_ms, a->id) < std::tuple(b_up, -b->created_ms, b->id);
    });
    for (int i = 0; i < surplus; ++i) {
      const auto& job = *live[static_cast<std::size_t>(i)];
      plan_.stops.push_back({job.host_id, job.id, reason});
    }
  }

  void drop(const Group& group, const char* reason) {
    stop_surplus(group.live, static_cast<int>(group.live.size()), reason);
    for (const JobState* ended : group.ended) plan_.clears.push_back(clear_of(*ended));
  }

  void prune_statuses() {
    std::map<std::pair<std::string, std::string>, std::vector<const JobState*>> finished;
    for (const auto& [id, job] : cell_.jobs)
      if (!job.has_spec && job.has_status && job.phase == JobPhase::down)
        finished[{job.app_id, job.type}].push_back(&job);
    for (auto& [kind, jobs] : finished) {
      if (jobs.size() <= options_.statuses_kept) continue;
      std::sort(jobs.begin(), jobs.end(), [](const JobState* a, const JobState* b) {
        return std::tuple(-a->ended_ms, a->id) < std::tuple(-b->ended_ms, b->id);
      });
      for (std::size_t i = options_.statuses_kept; i < jobs.size(); ++i)
        plan_.status_prunes.push_back(clear_of(*jobs[i]));
    }
  }

  const CellState& cell_;
  TimeMs now_;
  const PlanOptions& options_;
  Groups groups_;
  Plan plan_;
};

}  // namespace

Plan plan_cell(const CellState& cell, TimeMs now, const PlanOptions& options) {
  return Planner(cell, now, options).run();
}

}  // namespace flynn::scheduler
