// The plan: what to start, stop and clear away so that what runs is what the formations say.
#pragma once

#include <string>
#include <vector>

#include "cell_state.h"

namespace flynn::scheduler {

struct PlanOptions {
  TimeMs host_grace_ms = 30'000;
  std::size_t statuses_kept = 50;  // of each app and type
};

struct StartJob {
  std::string formation_key, type;
  int restarts = 0;
  std::string replaces;   // the job that ended, cleared away in the same transaction; empty: an additional one
  std::string only_host;  // where its volumes are
};

struct StopJob {
  std::string host_id, job_id, reason;
};

struct ClearJob {
  std::string host_id, job_id;
  bool had_stop = false;
  bool lost = false;  // its host is gone: its status must be ended for it
};

struct Plan {
  std::vector<StartJob> starts;
  std::vector<StopJob> stops;
  std::vector<ClearJob> clears;         // spec, stop and index
  std::vector<ClearJob> status_prunes;  // the status
  TimeMs next_ms = 0;                   // when time alone would change the plan; 0: never
};

/// Pure. A formation's job that ended keeps its spec until its replacement is written, so that the wait for a restart
/// is itself in the store.
Plan plan_cell(const CellState& cell, TimeMs now, const PlanOptions& options);

}  // namespace flynn::scheduler
