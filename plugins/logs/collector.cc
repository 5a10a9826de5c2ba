#include "collector.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "flynn/sdk/uuid.h"

namespace flynn::logs {
namespace {

constexpr std::string_view kStatusPrefix = "jobs/status/", kAppPrefix = "apps/";
// Without inotify, as in a cage, where it may not watch the host plugin's files.
constexpr int kLookEveryMs = 1000, kLookOftenMs = 200;
constexpr std::uint32_t kWatched = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF;

std::string job_of_key(const std::string& key) { return key.substr(key.rfind('/') + 1); }

}  // namespace

Collector::Collector(Door& door, Log& log, LogStore& store, std::function<void()> on_stored)
    : door_(door),
      log_(log),
      store_(store),
      on_stored_(std::move(on_stored)),
      statuses_(door, log, std::string(kStatusPrefix),
                {[this](const RangeResult& all) { on_statuses(all); },
                 [this](std::int64_t, const std::vector<StoreEvent>& events) {
                   for (const auto& event : events)
                     on_status(event.kv.key, event.kind == EventKind::put ? &event.kv.value : nullptr);
                 }}),
      apps_(door, log, std::string(kAppPrefix),
            {[this](const RangeResult& all) { on_apps(all); },
             [this](std::int64_t, const std::vector<StoreEvent>& events) {
               for (const auto& event : events) on_app(event);
             }}) {}

void Collector::prepare() {
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_)
    log_.warn("inotify_off", {{"why", "no instance left"}, {"instead", "files are looked at each second"}});
  statuses_.start("logs-jobs");
  apps_.start("logs-apps");
  worker_.start("logs-collect", [this](const StopSignal& stop) { run(stop); });
}

void Collector::activate() {
  {
    const std::lock_guard lock(mutex_);
    compare_apps_ = true;
  }
  gate_.open();
  wake_.ask();
}

void Collector::quiesce() {
  close();
  (void)gate_.wait_empty();
}

void Collector::forget_progress() {
  while (!tails_.empty()) forget(tails_.begin()->first);
  finished_.clear();
  const std::lock_guard lock(mutex_);
  for (const auto& [id, job] : jobs_) changed_.insert(id);
  gone_.clear();
  erased_apps_.clear();
}

void Collector::stop() {
  close();
  statuses_.ask_stop();
  apps_.ask_stop();
  worker_.ask_stop();
  statuses_.stop();
  apps_.stop();
  worker_.stop();
  tails_.clear();
  finished_.clear();
}

void Collector::on_statuses(const RangeResult& all) {
  for (const auto& kv : all.kvs) on_status(kv.key, &kv.value);
}

void Collector::on_status(const std::string& key, const json::value* value) {
  const auto* status = value == nullptr ? nullptr : value->if_object();
  const auto id = job_of_key(key);
  {
    const std::lock_guard lock(mutex_);
    if (status == nullptr) {
      const auto known = jobs_.find(id);
      const bool unread = changed_.erase(id) != 0 && known != jobs_.end();
      gone_[id] = unread ? std::optional(known->second) : std::nullopt;
      if (known != jobs_.end()) jobs_.erase(known);
    } else {
      TailedJob job;
      job.id = id;
      job.app_id = string_or(*status, "app_id");
      job.process_type = string_or(*status, "type");
      job.host_id = string_or(*status, "host_id");
      job.log_path = string_or(*status, "log_path");
      job.down = string_or(*status, "state") == "down";
      if (!job.log_path.starts_with('/') || !is_app_id(job.app_id)) return;
      jobs_[id] = std::move(job);
      changed_.insert(id);
      gone_.erase(id);
    }
  }
  wake_.ask();
}

// Apps that went while nobody watched are found by comparing.
void Collector::on_apps(const RangeResult& all) {
  std::set<std::string> there;
  for (const auto& kv : all.kvs) there.insert(job_of_key(kv.key));
  {
    const std::lock_guard lock(mutex_);
    known_apps_ = std::move(there);
    apps_read_ = compare_apps_ = true;
  }
  wake_.ask();
}

void Collector::on_app(const StoreEvent& event) {
  const auto app_id = job_of_key(event.kv.key);
  {
    const std::lock_guard lock(mutex_);
    if (event.kind == EventKind::put) {
      known_apps_.insert(app_id);
    } else {
      known_apps_.erase(app_id);
      // Else it is the task of who has the logs; what that one does not come to is found by comparing.
      if (gate_.is_open()) erased_apps_.insert(app_id);
    }
  }
  wake_.ask();
}

// Only ids of the controller's kind: others are the platform's own. The store is asked, for its news may be under way
// to us: a log that is not known to be without its app stays.
std::set<std::string> Collector::logs_without_app() {
  std::set<std::string> candidates, strange;
  {
    const auto stored = store_.apps();
    const std::lock_guard lock(mutex_);
    if (!apps_read_ || !gate_.is_open() || !std::exchange(compare_apps_, false)) return {};
    for (const auto& id : stored)
      if (is_uuid(id) && !known_apps_.contains(id)) candidates.insert(id);
  }
  for (const auto& id : candidates) {
    const auto app = StoreClient(door_).get(std::string(kAppPrefix) + id);
    if (app && !*app) strange.insert(id);
    if (app) continue;
    const std::lock_guard lock(mutex_);
    compare_apps_ = true;  // in the next round
  }
  return strange;
}

void Collector::delete_logs(const std::set<std::string>& strange) {
  std::set<std::string> ids;
  {
    const std::lock_guard lock(mutex_);
    ids.swap(erased_apps_);
  }
  ids.insert(strange.begin(), strange.end());
  for (const auto& id : ids) store_.erase(id);
}

// A deleted app's jobs leave statuses behind: they must not bring its log back.
bool Collector::may_collect(const TailedJob& job) const {
  return apps_read_ && (!is_uuid(job.app_id) || known_apps_.contains(job.app_id));
}

Result<UniqueFd> Collector::borrow(const std::string& job_id) {
  auto lent = door_.call("flynn.host/1", "Log", {{"job_id", job_id}});
  if (!lent) return lent.error();
  if (lent->fds.size() != 1) return Error{Code::internal, "flynn.host/1 Log gave no descriptor"};
  return std::move(lent->fds.front());
}

void Collector::open_tail(const TailedJob& job) {
  auto log = store_.log_of(job.app_id);
  if (!log) {
    log_.warn("job_log_not_collected", {{"job", job.id}, {"error", log.error().message}});
    return;
  }
  auto& tailed = tails_[job.id];
  tailed.tail = std::make_unique<JobTail>(job, *log, [this](const std::string& id) { return borrow(id); });
  if (inotify_) tailed.watch = ::inotify_add_watch(inotify_.get(), job.log_path.c_str(), kWatched);
}

void Collector::take_changes() {
  std::vector<TailedJob> changed;
  Gone gone;
  {
    const std::lock_guard lock(mutex_);
    // The others wait: their app's key may be on its way.
    std::erase_if(changed_, [&](const std::string& id) {
      const auto job = jobs_.find(id);
      if (job != jobs_.end() && !may_collect(job->second)) return false;
      if (job != jobs_.end()) changed.push_back(job->second);
      return true;
    });
    gone.swap(gone_);
  }
  for (const auto& job : changed) {
    if (!gate_.is_open()) return;  // a log may be long; after a quiesce() all are changed again
    if (finished_.contains(job.id)) continue;
    if (const auto found = tails_.find(job.id); found != tails_.end()) {
      found->second.tail->job().down = job.down;
    } else {
      open_tail(job);
    }
  }
  take_gone(gone);
}

void Collector::take_gone(const Gone& gone) {
  for (const auto& [id, unread] : gone) {
    finished_.erase(id);
    bool collect = false;
    if (unread) {
      const std::lock_guard lock(mutex_);
      collect = may_collect(*unread);
    }
    if (collect && !tails_.contains(id)) open_tail(*unread);
    if (const auto found = tails_.find(id); found != tails_.end()) found->second.gone = true;
  }
}

void Collector::forget(const std::string& job_id) {
  const auto found = tails_.find(job_id);
  if (found == tails_.end()) return;
  if (found->second.watch >= 0) ::inotify_rm_watch(inotify_.get(), found->second.watch);
  tails_.erase(found);
}

// True when there may be more at once.
bool Collector::step(Tailed& tailed) {
  if (tailed.tail->log()->erased()) return false;
  auto progress = tailed.tail->step();
  if (!progress) {
    if (tailed.told_error != progress.error().message)
      log_.warn("job_log_waits", {{"job", tailed.tail->job().id}, {"error", progress.error().message}});
    tailed.told_error = progress.error().message;
    return false;
  }
  tailed.told_error.clear();
  if (*progress == JobTail::Progress::finished) finished_.insert(tailed.tail->job().id);
  return *progress == JobTail::Progress::more;
}

// One chunk of each file in turn, so that a job that shouts does not keep others waiting.
bool Collector::step_all(const StopSignal& stop) {
  bool more = false;
  std::vector<std::string> ended;
  for (auto& [id, tailed] : tails_) {
    if (stop.asked() || !gate_.is_open()) return false;
    const bool again = step(tailed);
    more = more || again;
    if (tailed.gone && !again) tailed.tail->log()->forget_job(id);
    if (finished_.contains(id) || tailed.tail->log()->erased() || (tailed.gone && !again)) ended.push_back(id);
    if (inotify_ && tailed.watch < 0)  // the file came, or was replaced, after the last try
      tailed.watch = ::inotify_add_watch(inotify_.get(), tailed.tail->job().log_path.c_str(), kWatched);
  }
  for (const auto& id : ended) {
    if (tails_.at(id).gone) finished_.erase(id);
    forget(id);
  }
  return more;
}

void Collector::read_events() {
  alignas(inotify_event) std::array<char, 64 * 1024> events;
  const auto got = ::read(inotify_.get(), events.data(), events.size());
  for (ssize_t at = 0; at < got;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    if ((event->mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB)) == 0) continue;
    for (auto& [id, tailed] : tails_)  // watch the file that now has the name
      if (tailed.watch == event->wd) tailed.watch = -1;
  }
}

// True when there may be more at once.
bool Collector::round(const StopSignal& stop, const std::set<std::string>& strange) {
  delete_logs(strange);
  take_changes();
  const bool more = step_all(stop);
  on_stored_();
  return more;
}

void Collector::run(const StopSignal& stop) {
  while (!stop.asked()) {
    wake_.clear();
    const auto strange = logs_without_app();
    bool ours = false, more = false, blind = false;
    if (const auto pass = gate_.enter()) {
      ours = true;
      read_events();
      more = round(stop, strange);
      blind = std::any_of(tails_.begin(), tails_.end(), [](const auto& one) { return one.second.watch < 0; });
    }
    std::array<pollfd, 3> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{wake_.fd(), POLLIN, 0},
                                  pollfd{ours ? inotify_.get() : -1, POLLIN, 0}};
    ::poll(entries.data(), entries.size(), !ours ? -1 : more ? 0 : blind ? kLookOftenMs : kLookEveryMs);
  }
}

}  // namespace flynn::logs
