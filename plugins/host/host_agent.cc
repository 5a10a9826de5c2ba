#include "host_agent.h"

#include <algorithm>
#include <set>
#include <utility>

#include "files.h"
#include "flynn/sdk/stream.h"

namespace flynn::host {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kWorkers = 4;
constexpr std::size_t kSessionsMax = 512;
constexpr std::chrono::milliseconds kAttachPatience{30'000}, kExitPatience{20'000};

}  // namespace

HostAgent::HostAgent(Door& door, Log& log, Machine& machine)
    : door_(door),
      log_(log),
      machine_(machine),
      host_id_(machine.options().host_id),
      queue_(gate_),
      checks_(door, log, gate_),
      specs_(door, log, "jobs/spec/" + host_id_ + "/",
             {[this](const RangeResult& all) {
                if (const auto pass = gate_.enter()) take_specs(all);
              },
              [this](std::int64_t, const std::vector<StoreEvent>& events) {
                if (const auto pass = gate_.enter()) take_spec_events(events);
              }}),
      stops_(door, log, "jobs/stop/" + host_id_ + "/",
             {[this](const RangeResult& all) {
                for (const auto& kv : all.kvs) post(kv.key.substr(kv.key.rfind('/') + 1), {EventType::stop_wanted});
              },
              [this](std::int64_t, const std::vector<StoreEvent>& events) {
                for (const auto& event : events)
                  if (event.kind == EventKind::put)
                    post(event.kv.key.substr(event.kv.key.rfind('/') + 1), {EventType::stop_wanted});
              }}),
      beat_(door, log, machine, gate_, [this] { follow_store(); }) {}

void HostAgent::prepare() {
  if (std::exchange(prepared_, true)) return;
  queue_.start(kWorkers, "host-job-");
  watch_.start();
  checks_.start();
  beat_.start();
}

// Callers wait: what runs is adopted, the rest is the beat's.
Result<void> HostAgent::activate() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = false;
  }
  prepare();
  // Of an instance that is resumed: what they read while another one worked must not be taken for news.
  specs_.stop();
  stops_.stop();
  gate_.open();
  adopt_all();
  beat_.begin();
  return {};
}

// The mirrors begin here and not before a swap's pause: what they would have seen by then, another instance may have
// done, ended and forgotten, and a job must not run twice. A fresh look has all that nobody has acted on.
void HostAgent::follow_store() {
  machine_.layers().drop_unused();
  specs_.start("host-specs");
  stops_.start("host-stops");
}

void HostAgent::quiesce() {
  gate_.close();
  gate_.wait_empty();
  beat_.end();
  specs_.ask_stop();
  stops_.ask_stop();
  queue_.drop();
  watch_.clear();
  checks_.clear();
}

void HostAgent::drain(Deadline deadline) {
  std::unique_lock lock(mutex_);
  while (!deadline.passed()) {
    sessions_.remove_if([](const auto& session) { return session->done(); });
    if (sessions_.empty()) return;
    changed_.wait_for(lock, std::min<std::chrono::nanoseconds>(deadline.left(), 50ms));
  }
}

void HostAgent::stop() {
  quiesce();
  beat_.stop();
  specs_.stop();
  stops_.stop();
  queue_.stop();
  watch_.stop();
  checks_.stop();
  prepared_ = false;
  std::list<std::unique_ptr<AttachSession>> sessions;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    sessions.swap(sessions_);
  }
  changed_.notify_all();
  sessions.clear();
  const std::lock_guard lock(mutex_);
  jobs_.clear();
}

HostAgent::JobPtr HostAgent::find(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(job_id);
  return found == jobs_.end() ? nullptr : found->second;
}

// Jobs that are known but have no record are none of ours any more: another instance has forgotten them, or they have
// not begun and are wanted anew.
void HostAgent::adopt_all() {
  std::set<std::string> adopted;
  for (const auto& id : list_folder(machine_.paths().jobs()))
    if (adopt(id)) adopted.insert(id);
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [&](const auto& entry) { return !adopted.contains(entry.first); });
}

// A container that runs is ours again; one that ended while nobody looked is told of; one whose monitor has gone is
// lost.
bool HostAgent::adopt(const std::string& job_id) {
  auto record = load_record(machine_.paths(), job_id);
  if (!record) {
    log_.warn("job_folder_without_record", {{"job", job_id}, {"error", record.error().message}});
    return false;
  }
  auto job = std::make_shared<Job>();
  job->unit = std::move(record->unit);
  job->spec_document = std::move(record->spec_document);
  const bool down = job->unit.phase == Phase::down;
  std::optional<MonitorId> monitor;
  if (!down)
    if (auto found = find_monitor(machine_.paths(), job_id); found && found->pid > 1) monitor = *found;
  if (monitor) take_hold(job->unit);
  {
    // From here on others read it, and only its own tasks change it; this one is the first of them.
    const std::lock_guard lock(mutex_);
    jobs_[job_id] = job;
    if (monitor) queue_.post(job_id, [this, job, id = *monitor] { go_on_with(job, id); });
  }
  if (down || monitor) return true;
  if (read_exit_status(machine_.paths(), job_id))
    queue_.post(job_id, [this, job_id] { monitor_ended(job_id); });
  else
    post(job_id, {EventType::machine_restarted});
  return true;
}

void HostAgent::take_hold(JobUnit& unit) {
  const auto& id = unit.spec.id;
  if (auto claimed = machine_.claim(unit.spec, unit.address); !claimed)
    log_.error("adopted_job_without_its_address", {{"job", id}, {"error", claimed.error().message}});
  // Only of one that may not have been started the runtime must be asked, which is a program to run.
  bool waits = false;
  if (unit.phase <= Phase::created) {
    const auto state = machine_.runtime().state(id);
    waits = state && *state == "created";
  }
  if (waits)
    unit.phase = Phase::created;
  else if (unit.phase != Phase::stopping)
    unit.phase = unit.up_at.empty() && has_checks(unit.spec) ? Phase::running : Phase::up;
}

void HostAgent::go_on_with(const JobPtr& job, const MonitorId& monitor) {
  const auto& unit = job->unit;
  const auto& id = unit.spec.id;
  watch_monitor(id, monitor);
  log_.info("job_adopted", {{"job", id}, {"app", unit.spec.app_name}, {"state", state_name(unit.phase)}});
  const bool waits = unit.phase == Phase::created;
  if (waits && unit.spec.attach)
    arm(job, "attach", kAttachPatience, EventType::attach_overdue);
  else if (waits)
    post(id, {EventType::attacher_came});
  else if (unit.phase == Phase::stopping)
    post(id, {EventType::stop_overdue});
  else
    do_begin_checks(job);
}

// Whether the store knows a status beyond "pending": then the container has been, and is no more.
bool HostAgent::ran_before(const std::string& job_id) {
  auto status = StoreClient(door_).get(status_key(host_id_, job_id));
  if (!status || !*status) return false;
  const auto* document = (*status)->value.if_object();
  return document != nullptr && string_or(*document, "state") != "pending";
}

void HostAgent::want(const json::object& document, bool may_have_run) {
  auto spec = parse_job_spec(document);
  if (!spec)
    return log_.error("job_spec_refused", {{"job", string_or(document, "id")}, {"error", spec.error().message}});
  const auto id = spec->id;
  JobPtr fresh;
  {
    const std::lock_guard lock(mutex_);
    auto& job = jobs_[id];
    if (job == nullptr) {
      fresh = job = std::make_shared<Job>();
      job->unit.spec = std::move(*spec);
      job->spec_document = document;
    }
  }
  if (fresh && may_have_run && ran_before(id)) {
    {
      const std::lock_guard lock(mutex_);
      fresh->unit.phase = Phase::running;
    }
    return post(id, {EventType::machine_restarted});
  }
  post(id, {EventType::wanted});
}

void HostAgent::take_specs(const RangeResult& all) {
  std::set<std::string> wanted;
  for (const auto& kv : all.kvs) {
    wanted.insert(kv.key.substr(kv.key.rfind('/') + 1));
    if (const auto* document = kv.value.if_object()) want(*document, true);
  }
  std::vector<std::string> others;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, job] : jobs_)
      if (!wanted.contains(id)) others.push_back(id);
  }
  for (const auto& id : others) post(id, {EventType::forgotten});
}

void HostAgent::take_spec_events(const std::vector<StoreEvent>& events) {
  for (const auto& event : events) {
    const auto* document = event.kv.value.if_object();
    if (event.kind == EventKind::erase)
      post(event.kv.key.substr(event.kv.key.rfind('/') + 1), {EventType::forgotten});
    else if (document != nullptr)
      want(*document, false);
  }
}

void HostAgent::watch_monitor(const std::string& job_id, const MonitorId& id) {
  auto pidfd = open_monitor(id);
  const auto ended = [this, job_id] { queue_.post(job_id, [this, job_id] { monitor_ended(job_id); }); };
  if (!pidfd) return ended();
  watch_.watch_process(job_id, std::move(*pidfd), ended);
}

void HostAgent::monitor_ended(const std::string& job_id) {
  JobEvent event{EventType::monitor_lost};
  if (const auto status = read_exit_status(machine_.paths(), job_id)) {
    event.type = EventType::ended;
    event.status = *status;
    event.oom = machine_.cgroups().oom_kills(job_id) > 0;
  }
  handle(job_id, event);
}

Result<UniqueFd> HostAgent::attach(AttachRequest request) {
  auto ends = make_stream();
  if (!ends) return ends.error();
  auto session =
      std::make_unique<AttachSession>(machine_, attach_support(), std::move(request), std::move(ends->first));
  const std::lock_guard lock(mutex_);
  if (stopping_) return Error{Code::unavailable, "this machine's host plugin is being replaced"};
  sessions_.remove_if([](const auto& old) { return old->done(); });
  if (sessions_.size() >= kSessionsMax)
    return Error{Code::resource_exhausted, std::to_string(kSessionsMax) + " clients are attached to jobs here"};
  session->start();
  sessions_.push_back(std::move(session));
  return std::move(ends->second);
}

Result<void> HostAgent::signal(const std::string& job_id, int number) {
  if (!find(job_id)) return Error{Code::not_found, "this machine has no job " + job_id};
  return machine_.signal(job_id, number);
}

Result<void> HostAgent::withdraw(const std::string& job_id) {
  const auto pass = gate_.enter();
  if (!pass) return replaced();
  if (!find(job_id)) return Error{Code::not_found, "this machine has no job " + job_id};
  post(job_id, {EventType::withdraw_wanted});  // remembered, and for a job that is not announced yet
  checks_.withdraw(job_id);                    // and true when we answer
  return {};
}

Result<void> HostAgent::end(const std::string& job_id) {
  const auto pass = gate_.enter();
  if (!pass) return replaced();
  if (!find(job_id)) return Error{Code::not_found, "this machine has no job " + job_id};
  post(job_id, {EventType::stop_wanted});
  return {};
}

std::vector<JobUnit> HostAgent::units() const {
  const std::lock_guard lock(mutex_);
  std::vector<JobUnit> units;
  for (const auto& [id, job] : jobs_) units.push_back(job->unit);
  return units;
}

std::optional<JobUnit> HostAgent::unit(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return std::nullopt;
  return found->second->unit;
}

std::string HostAgent::running_job(const std::string& app_id) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, job] : jobs_)
    if (job->unit.spec.app_id == app_id && job->unit.phase != Phase::down) return id;
  return {};
}

bool HostAgent::is_awaited(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [&](const auto& session) { return !session->done() && session->job_id() == job_id; });
}

json::array HostAgent::list() const {
  const std::lock_guard lock(mutex_);
  json::array jobs;
  for (const auto& [id, job] : jobs_)
    jobs.push_back(status_document(job->unit, machine_.paths().job_log(id), now_rfc3339()));
  return jobs;
}

std::size_t HostAgent::jobs_alive() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [id, job] : jobs_) count += job->unit.phase != Phase::down ? 1 : 0;
  return count;
}

AttachSupport HostAgent::attach_support() {
  return {[this](const std::string& id, Deadline deadline) { return wait_until_created(id, deadline); },
          [this](const std::string& id) { post(id, {EventType::attacher_came}); },
          [this](const std::string& id) { return wait_for_exit(id); }};
}

Result<void> HostAgent::wait_until_created(const std::string& job_id, Deadline deadline) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (stopping_) return Error{Code::unavailable, "this machine's host plugin is being replaced"};
    const auto found = jobs_.find(job_id);
    const auto phase = found == jobs_.end() ? Phase::none : found->second->unit.phase;
    if (phase == Phase::down) {
      if (found->second->unit.exit_status) return {};
      return Error{Code::failed_precondition, found->second->unit.error};
    }
    if (phase >= Phase::created) return {};
    if (deadline.passed()) return Error{Code::not_found, "job " + job_id + " did not come to this machine in time"};
    changed_.wait_for(lock, std::min<std::chrono::nanoseconds>(deadline.left(), 1s));
  }
}

Result<std::uint32_t> HostAgent::wait_for_exit(const std::string& job_id) {
  const auto deadline = Deadline::after(kExitPatience);
  std::unique_lock lock(mutex_);
  while (true) {
    const auto found = jobs_.find(job_id);
    const bool known = found != jobs_.end();
    if (known && found->second->unit.phase == Phase::down) {
      const auto& unit = found->second->unit;
      if (unit.exit_status) return static_cast<std::uint32_t>(*unit.exit_status);
      return Error{Code::failed_precondition, unit.error.empty() ? "the job did not run" : unit.error};
    }
    if (!known || stopping_ || deadline.passed()) break;
    changed_.wait_for(lock, 1s);
  }
  lock.unlock();
  // Somebody else follows the job by now, but its exit status is on disk.
  if (const auto status = read_exit_status(machine_.paths(), job_id)) return static_cast<std::uint32_t>(*status);
  return Error{Code::unavailable, "the job's exit status is not known yet"};
}

}  // namespace flynn::host
