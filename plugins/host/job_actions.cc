// The doing part of HostAgent: events of one job come one after another from the work queue, plan() decides, and this
// acts.
#include "files.h"
#include "host_agent.h"
#include "job_events.h"

namespace flynn::host {
namespace {

using namespace std::chrono_literals;

constexpr auto kAttachPatience = 30'000ms, kReportRetry = 1'000ms, kKillAgain = 5'000ms;

}  // namespace

void HostAgent::post(const std::string& job_id, JobEvent event) {
  queue_.post(job_id, [this, job_id, event = std::move(event)] { handle(job_id, event); });
}

void HostAgent::handle(const std::string& job_id, const JobEvent& event) {
  const auto job = find(job_id);
  if (!job || job->removed) return;
  std::vector<ActionType> actions;
  const char* happened = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto before = job->unit.phase;
    actions = plan(job->unit, event, now_rfc3339());
    happened = job_event(before, job->unit);
  }
  if (happened != nullptr && observer_) observer_(happened, job->unit);
  for (const auto action : actions) act(job, action);
  changed_.notify_all();
}

void HostAgent::act(const JobPtr& job, ActionType action) {
  const auto& spec = job->unit.spec;
  switch (action) {
    case ActionType::prepare:
      return do_prepare(job);
    case ActionType::start_program:
      return do_start(job);
    case ActionType::begin_checks:
      return do_begin_checks(job);
    case ActionType::withdraw:
      return checks_.remove(spec.id);
    case ActionType::stop_announcing:
      return checks_.withdraw(spec.id);
    case ActionType::signal_term:
      return do_signal(job, 15);
    case ActionType::signal_kill:
      return do_signal(job, 9);
    case ActionType::tear_down:
      return do_tear_down(job);
    case ActionType::publish_end:
      return changed_.notify_all();
    case ActionType::report:
      return do_report(job);
    case ActionType::arm_attach:
      return arm(job, "attach", kAttachPatience, EventType::attach_overdue);
    case ActionType::arm_stop:
      return arm(job, "stop", spec.stop_timeout.count() > 0 ? spec.stop_timeout : kKillAgain, EventType::stop_overdue);
    case ActionType::arm_run:
      return arm(job, "run", spec.timeout, EventType::run_overdue);
    case ActionType::remove_record:
      return do_remove(job);
  }
}

void HostAgent::arm(const JobPtr& job, const char* name, std::chrono::milliseconds after, EventType event) {
  const auto id = job->unit.spec.id;
  watch_.set_timer(id, name, after, [this, id, event] { post(id, {event}); });
}

void HostAgent::do_prepare(const JobPtr& job) {
  const auto id = job->unit.spec.id;
  auto prepared = machine_.prepare(job->unit.spec);
  if (!prepared) return handle(id, {EventType::prepare_failed, prepared.error().message});
  {
    const std::lock_guard lock(mutex_);
    job->unit.address = prepared->address;
  }
  if (auto saved = save_record(machine_.paths(), job->unit, job->spec_document); !saved)
    return handle(id, {EventType::prepare_failed, saved.error().message});
  watch_monitor(id, prepared->monitor);
  handle(id, {EventType::prepared});
}

void HostAgent::do_start(const JobPtr& job) {
  const auto id = job->unit.spec.id;
  const auto started = machine_.start(id);
  if (started) return handle(id, {EventType::started});
  handle(id, {EventType::start_failed,
              "start " + (job->unit.spec.args.empty() ? std::string("the job") : job->unit.spec.args.front()) + ": " +
                  started.error().message});
}

void HostAgent::do_begin_checks(const JobPtr& job) {
  const auto id = job->unit.spec.id;
  checks_.add(job->unit.spec, job->unit.address, job->unit.phase == Phase::up,
              job->unit.withdrawn ? Announce::no : Announce::yes,
              {[this, id] { post(id, {EventType::checks_passed}); },
               [this, id](const std::string& why) {
                 post(id, {EventType::checks_gave_up, why});
               }});
}

void HostAgent::do_signal(const JobPtr& job, int number) {
  const auto& id = job->unit.spec.id;
  auto sent = machine_.signal(id, number);
  // Ended meanwhile: its monitor tells.
  if (!sent && sent.error().code != Code::not_found)
    log_.warn("signal_failed", {{"job", id}, {"signal", number}, {"error", sent.error().message}});
}

void HostAgent::do_tear_down(const JobPtr& job) {
  const auto& spec = job->unit.spec;
  watch_.forget(spec.id);
  if (auto torn = machine_.tear_down(spec); !torn)
    log_.error("job_not_torn_down", {{"job", spec.id}, {"error", torn.error().message}});
  if (observer_) observer_("cleanup", job->unit);
  log_.info("job_down", {{"job", spec.id},
                         {"app", spec.app_name},
                         {"type", spec.type},
                         {"exit_status", job->unit.exit_status ? json::value(*job->unit.exit_status) : json::value()},
                         {"error", job->unit.error}});
}

void HostAgent::do_report(const JobPtr& job) {
  const auto& id = job->unit.spec.id;
  json::object document;
  {
    const std::lock_guard lock(mutex_);
    document = status_document(job->unit, machine_.paths().job_log(id), now_rfc3339());
  }
  if (auto saved = save_record(machine_.paths(), job->unit, job->spec_document); !saved)
    log_.error("record_not_saved", {{"job", id}, {"error", saved.error().message}});
  auto put = StoreClient(door_).put(status_key(host_id_, id), std::move(document));
  if (put) return;
  log_.warn("status_not_written", {{"job", id}, {"error", put.error().message}});
  watch_.set_timer(id, "report", kReportRetry, [this, id] {
    queue_.post(id, [this, id] {
      if (const auto again = find(id)) do_report(again);
    });
  });
}

// Its log stays: others may still read it.
void HostAgent::do_remove(const JobPtr& job) {
  const auto id = job->unit.spec.id;
  watch_.forget(id);
  if (auto removed = remove_tree(machine_.paths().job(id)); !removed)
    log_.error("job_folder_not_removed", {{"job", id}, {"error", removed.error().message}});
  const std::lock_guard lock(mutex_);
  job->removed = true;
  jobs_.erase(id);
}

}  // namespace flynn::host
