// HostAgent: makes what runs on this machine what the store wants: specs and stops come in, statuses go out.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "attach_session.h"
#include "flynn/sdk/gate.h"
#include "flynn/sdk/store.h"
#include "health_checks.h"
#include "heartbeat.h"
#include "job_record.h"
#include "machine.h"
#include "watch_loop.h"
#include "work_queue.h"

namespace flynn::host {

/// Thread: prepare, activate, quiesce, drain and stop [control]; the rest [any]. Borrows door, log and machine.
class HostAgent {
 public:
  HostAgent(Door& door, Log& log, Machine& machine);
  ~HostAgent() { stop(); }

  /// Starts the threads that wait at the gate, so that activate() need not; nothing happens before it.
  void prepare();
  /// Adopts what runs, then follows the store: what came while another instance worked is in it. Also after quiesce().
  Result<void> activate();
  /// When it returns, nothing acts any more until activate(); the threads stay, and containers run on.
  void quiesce();
  /// Until no client is attached, or the deadline.
  void drain(Deadline deadline);
  void stop();

  Result<UniqueFd> attach(AttachRequest request);
  Result<void> signal(const std::string& job_id, int number);
  /// The right to act on this machine; none when another instance does. Nothing that is held long.
  Gate::Pass enter() { return gate_.enter(); }
  static Error replaced() { return {Code::unavailable, "this machine's host plugin is being replaced: ask again"}; }
  /// Takes its services out of discovery for good; it runs on. `not_found`, `unavailable`.
  Result<void> withdraw(const std::string& job_id);
  /// Ends a job as a stop key does, for one that the scheduler does not know. `not_found`,
  /// `unavailable`.
  Result<void> end(const std::string& job_id);
  json::array list() const;
  std::vector<JobUnit> units() const;
  std::optional<JobUnit> unit(const std::string& job_id) const;
  /// A job of the app that is not down, empty when there is none.
  std::string running_job(const std::string& app_id) const;
  /// Whether a client is attached to the job, which may not be here yet.
  bool is_awaited(const std::string& job_id) const;
  /// What happens to jobs ("create", "start", "stop", "error", "cleanup"), on the threads that make it happen, those of
  /// one job one after another. Before activate(). Must be quick.
  using Observer = std::function<void(const char* event, const JobUnit& unit)>;
  void observe(Observer observer) { observer_ = std::move(observer); }
  std::size_t jobs_alive() const;

 private:
  struct Job {
    JobUnit unit;
    json::object spec_document;
    bool removed = false;
  };
  using JobPtr = std::shared_ptr<Job>;

  void adopt_all();
  /// False when there is no record of it.
  bool adopt(const std::string& job_id);
  /// Its address is taken, and what it does found out, before anybody else knows of it.
  void take_hold(JobUnit& unit);
  /// A task of the job's own: its monitor may end at once.
  void go_on_with(const JobPtr& job, const MonitorId& monitor);
  void follow_store();
  void want(const json::object& document, bool may_have_run);
  void take_specs(const RangeResult& all);
  void take_spec_events(const std::vector<StoreEvent>& events);
  bool ran_before(const std::string& job_id);
  JobPtr find(const std::string& job_id) const;

  void post(const std::string& job_id, JobEvent event);
  void handle(const std::string& job_id, const JobEvent& event);
  void act(const JobPtr& job, ActionType action);
  void do_prepare(const JobPtr& job);
  void do_start(const JobPtr& job);
  void do_begin_checks(const JobPtr& job);
  void do_tear_down(const JobPtr& job);
  void do_report(const JobPtr& job);
  void do_signal(const JobPtr& job, int number);
  void do_remove(const JobPtr& job);
  void arm(const JobPtr& job, const char* name, std::chrono::milliseconds after, EventType event);
  void watch_monitor(const std::string& job_id, const MonitorId& id);
  void monitor_ended(const std::string& job_id);

  AttachSupport attach_support();
  Result<void> wait_until_created(const std::string& job_id, Deadline deadline);
  Result<std::uint32_t> wait_for_exit(const std::string& job_id);

  Door& door_;
  Log& log_;
  Machine& machine_;
  const std::string host_id_;
  Observer observer_;
  mutable std::mutex mutex_;         // jobs_, their units, sessions_
  std::condition_variable changed_;  // a unit changed, or we stop
  bool stopping_ = false;
  bool prepared_ = false;  // [control]
  Gate gate_;              // inside: the queue's tasks, checks, beats, and what the mirrors say
  std::map<std::string, JobPtr> jobs_;
  std::list<std::unique_ptr<AttachSession>> sessions_;
  WatchLoop watch_;
  WorkQueue queue_;
  HealthChecks checks_;
  StoreMirror specs_, stops_;  // started on the beat's thread, ended while the gate is closed
  Heartbeat beat_;
};

}  // namespace flynn::host
