// Scheduler: carries out plans, and answers the calls of flynn.scheduler/1.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cell_mirror.h"
#include "commit_batch.h"
#include "formation_plan.h"
#include "leadership.h"
#include "placement.h"

namespace flynn::scheduler {

struct SchedulerOptions {
  PlanOptions plan;
  Overcommit overcommit;
};

/// Thread: start, activate, quiesce, stop [control]; the calls [any].
class Scheduler {
 public:
  Scheduler(Door& door, Log& log, SchedulerOptions options, std::string node);
  ~Scheduler() { stop(); }

  void start();     // reads and watches; once is enough
  void activate();  // leads and plans
  void quiesce();   // plans no more
  /// After quiesce: the lead, for the next instance on this node, which goes on with it.
  json::object hand_over();
  void take_over(const json::object& lead);
  void stop();  // lets go of the lead, unless it was handed over
  Result<void> health() const;
  void configure(const SchedulerOptions& options);

  Result<json::object> run(const json::object& request, Deadline deadline);
  Result<json::object> commit(const json::object& request, Deadline deadline);
  Result<json::object> stop_job(const json::object& request, Deadline deadline);
  Result<json::object> cell();
  Result<json::object> explain(const json::object& request);

 private:
  void lead(const StopSignal& stop);
  bool campaign(const StopSignal& stop);
  Result<void> see_predecessors_jobs();
  /// When to plan again by the clock; 0: only on a change.
  Result<TimeMs> plan_once();
  std::vector<Change> changes_of(CellState& state, const Plan& plan, TimeMs now);
  std::optional<Change> start_change(CellState& state, HostLoads& loads, const StartJob& start, const std::string& at);
  void end_lost_statuses(std::vector<Change>& changes, const Plan& plan);
  Result<void> wait_ready(Deadline deadline);
  void note_change();
  bool wait_for_change(const StopSignal& stop, TimeMs until_ms);

  Door& door_;
  Log& log_;
  std::mutex options_mutex_;
  SchedulerOptions options_;
  CellMirror mirror_;
  Leadership leadership_;
  Committer committer_;
  // Held from reading the state to the end of the commit: one committer, so what it saw free is free.
  std::mutex commit_mutex_;
  std::int64_t last_commit_ = 0;
  bool behind_ = true;                            // nobody has told us of the last commit before ours; commit_mutex_
  bool activated_ = false, handed_over_ = false;  // [control]
  std::mutex change_mutex_;
  std::condition_variable changed_;
  bool dirty_ = true;
  std::mutex unplaced_mutex_;
  std::map<std::string, std::string> unplaced_;  // formation key and type -> why
  Worker worker_;
};

TimeMs now_ms();

}  // namespace flynn::scheduler
