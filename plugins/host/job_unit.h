// JobUnit: the life of one job as a pure state machine. plan() says what to do; JobDriver does it.
//
//   none -> preparing -> created -> running -> up -> stopping -> down
// `created`: the container is made and waits for its attacher; `running`: the program runs, checks have not passed yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "job_spec.h"

namespace flynn::host {

enum class Phase { none, preparing, created, running, up, stopping, down };

enum class EventType {
  wanted,           // the spec appeared
  stop_wanted,      // a stop key appeared
  forgotten,        // the spec went away
  withdraw_wanted,  // out of discovery, and run on
  prepared,         // container made
  prepare_failed,   // text: why
  attacher_came,
  started,         // the program runs
  start_failed,    // text: why
  checks_passed,   // every port with a check has passed once
  checks_gave_up,  // text: port and reason
  ended,           // status, oom
  monitor_lost,    // conmon died and left no status
  machine_restarted,
  attach_overdue,
  stop_overdue,
  run_overdue,
};

struct JobEvent {
  EventType type;
  std::string text = {};
  int status = 0;
  bool oom = false;
};

enum class ActionType {
  prepare,  // layers, root, network, container
  start_program,
  begin_checks,     // and announce the ports that have none
  withdraw,         // out of discovery, checks end
  stop_announcing,  // out of discovery for good, checks go on
  signal_term,
  signal_kill,
  tear_down,    // nothing of it stays mounted or running
  publish_end,  // to attachers
  report,       // write the status
  arm_attach,
  arm_stop,
  arm_run,        // timers
  remove_record,  // the job is forgotten here
};

struct JobUnit {
  JobSpec spec;
  Phase phase = Phase::none;
  bool stop_requested = false, forgotten = false, attacher_here = false, oom = false, withdrawn = false;
  std::string error;
  std::optional<int> exit_status;
  std::string address, created_at, started_at, up_at, ended_at;  // RFC 3339 but for the address
};

/// Changes `unit` by `event` and returns what is to be done, in order. `now`: for the times in the status.
std::vector<ActionType> plan(JobUnit& unit, const JobEvent& event, const std::string& now);

/// "pending", "starting", "up", "stopping", "down".
const char* state_name(Phase phase);
bool has_checks(const JobSpec& spec);

}  // namespace flynn::host
