#include "job_unit.h"

#include <algorithm>

namespace flynn::host {
namespace {

using Actions = std::vector<ActionType>;
using enum ActionType;

Actions end_job(JobUnit& unit, const std::string& now) {
  unit.phase = Phase::down;
  unit.ended_at = now;
  Actions actions{withdraw, publish_end, tear_down, report};
  if (unit.forgotten) actions.push_back(remove_record);
  return actions;
}

Actions begin_stop(JobUnit& unit, const std::string& now) {
  switch (unit.phase) {
    case Phase::none:
      return end_job(unit, now);
    case Phase::preparing:  // looked at again when prepared
      return {};
    case Phase::created:  // nothing runs that could take leave
      return end_job(unit, now);
    case Phase::running:
    case Phase::up:
      unit.phase = Phase::stopping;
      // Out of discovery first: the router stops sending before the job hears of it.
      return {withdraw, report, signal_term, arm_stop};
    case Phase::stopping:
      return {};
    case Phase::down:
      return unit.forgotten ? Actions{remove_record} : Actions{};
  }
  return {};
}

Actions after_prepare(JobUnit& unit, const std::string& now) {
  if (unit.stop_requested) return end_job(unit, now);
  unit.phase = Phase::created;
  if (unit.spec.attach && !unit.attacher_here) return {report, arm_attach};
  return {start_program};
}

Actions after_start(JobUnit& unit, const std::string& now) {
  unit.started_at = now;
  unit.phase = has_checks(unit.spec) ? Phase::running : Phase::up;
  if (unit.phase == Phase::up) unit.up_at = now;
  Actions actions{report, begin_checks};
  if (unit.spec.timeout.count() > 0) actions.push_back(arm_run);
  return actions;
}

Actions fail(JobUnit& unit, const std::string& why, const std::string& now) {
  if (unit.error.empty()) unit.error = why;
  return end_job(unit, now);
}

Actions stop_with_error(JobUnit& unit, const std::string& why, const std::string& now) {
  if (unit.phase == Phase::down || unit.phase == Phase::stopping) return {};
  if (unit.error.empty()) unit.error = why;
  unit.stop_requested = true;
  return begin_stop(unit, now);
}

bool alive(const JobUnit& unit) { return unit.phase != Phase::none && unit.phase != Phase::down; }

}  // namespace

bool has_checks(const JobSpec& spec) {
  return std::any_of(spec.ports.begin(), spec.ports.end(), [](const JobPort& port) { return port.check.has_value(); });
}

const char* state_name(Phase phase) {
  switch (phase) {
    case Phase::none:
      return "pending";
    case Phase::preparing:
    case Phase::created:
    case Phase::running:
      return "starting";
    case Phase::up:
      return "up";
    case Phase::stopping:
      return "stopping";
    case Phase::down:
      return "down";
  }
  return "down";
}

Actions plan(JobUnit& unit, const JobEvent& event, const std::string& now) {
  switch (event.type) {
    case EventType::wanted:
      unit.forgotten = false;
      if (unit.phase == Phase::down) return {report};  // told before, perhaps not heard
      if (unit.phase != Phase::none) return {};
      if (unit.created_at.empty()) unit.created_at = now;
      if (unit.stop_requested) return end_job(unit, now);
      unit.phase = Phase::preparing;
      return {report, prepare};
    case EventType::stop_wanted:
      unit.stop_requested = true;
      return unit.phase == Phase::none ? Actions{} : begin_stop(unit, now);
    case EventType::forgotten:
      unit.stop_requested = unit.forgotten = true;
      return begin_stop(unit, now);
    case EventType::withdraw_wanted:
      if (!alive(unit)) return {};
      unit.withdrawn = true;
      return {stop_announcing, report};
    case EventType::prepared:
      return unit.phase == Phase::preparing ? after_prepare(unit, now) : Actions{};
    case EventType::attacher_came:
      unit.attacher_here = true;
      return unit.phase == Phase::created ? Actions{start_program} : Actions{};
    case EventType::attach_overdue:
      return unit.phase == Phase::created ? Actions{start_program} : Actions{};
    case EventType::started:
      return unit.phase == Phase::created ? after_start(unit, now) : Actions{};
    case EventType::prepare_failed:
    case EventType::start_failed:
      return alive(unit) ? fail(unit, event.text, now) : Actions{};
    case EventType::checks_passed:
      if (unit.phase != Phase::running) return {};
      unit.phase = Phase::up;
      unit.up_at = now;
      return {report};
    case EventType::checks_gave_up:
      return stop_with_error(unit, event.text, now);
    case EventType::run_overdue:
      return stop_with_error(unit, "ran longer than its limit of " + std::to_string(unit.spec.timeout.count()) + " ms",
                             now);
    case EventType::stop_overdue:
      return unit.phase == Phase::stopping ? Actions{signal_kill, arm_stop} : Actions{};
    case EventType::ended:
      if (!alive(unit)) return {};
      unit.exit_status = event.status;
      unit.oom = event.oom;
      if (unit.oom && unit.error.empty() && event.status != 0)
        unit.error = "out of memory: the kernel ended a process of the job";
      return end_job(unit, now);
    case EventType::monitor_lost:
      if (!alive(unit)) return {};
      unit.exit_status = 137;
      return fail(unit, "the job's monitor (conmon) died; the job was ended", now);
    case EventType::machine_restarted:
      return alive(unit) ? fail(unit, "host restarted", now) : Actions{};
  }
  return {};
}

}  // namespace flynn::host
