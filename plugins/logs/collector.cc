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

void Collector::start() {
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_)
    log_.warn("inotify_off", {{"why", "no instance left"}, {"instead", "files are looked at each second"}});
  statuses_.start("logs-jobs");
  apps_.start("logs-apps");
  worker_.start("logs-collect", [this](const StopSignal& stop) { run(stop); });
}

void Collector::ask_stop() {
  statuses_.ask_stop();
  apps_.ask_stop();
  worker_.ask_stop();
}

void Collector::stop() {
  ask_stop();
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
  {
    const std::lock_guard lock(mutex_);
    if (status == nullptr) {
      gone_.insert(job_of_key(key));
      changed_.erase(job_of_key(key));
    } else {
      TailedJob job;
      job.id = job_of_key(key);
      job.app_id = string_or(*status, "app_id");
      job.process_type = string_or(*status, "type");
      job.host_id = string_or(*status, "host_id");
      job.log_path = string_or(*status, "log_path");
      job.down = string_or(*status, "state") == "down";
      if (!job.log_path.starts_with('/') || !is_app_id(job.app_id)) return;
      changed_[job.id] = std::move(job);
    }
  }
  wake_.ask();
}

// Apps that went while nobody watched. Only ids of the controller's kind: others are the platform's own.
void Collector::on_apps(const RangeResult& all) {
  std::set<std::string> there;
  for (const auto& kv : all.kvs) there.insert(job_of_key(kv.key));
  for (const auto& id : store_.apps())
    if (is_uuid(id) && !there.contains(id)) delete_logs(id);
  {
    const std::lock_guard lock(mutex_);
    known_apps_ = std::move(there);
    apps_read_ = true;
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
    }
  }
  if (event.kind == EventKind::erase) delete_logs(app_id);
  wake_.ask();
}

void Collector::delete_logs(const std::string& app_id) {
  store_.erase(app_id);
  on_stored_();
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
  std::map<std::string, TailedJob> changed;
  std::set<std::string> gone;
  {
    const std::lock_guard lock(mutex_);
    // The others wait: their app's key may be on its way.
    for (auto job = changed_.begin(); job != changed_.end();)
      if (may_collect(job->second)) {
        changed.insert(changed_.extract(job++));
      } else {
        ++job;
      }
    gone.swap(gone_);
  }
  for (const auto& [id, job] : changed) {
    if (finished_.contains(id)) continue;
    if (const auto found = tails_.find(id); found != tails_.end()) {
      found->second.tail->job().down = job.down;
    } else {
      open_tail(job);
    }
  }
  for (const auto& id : gone) {
    finished_.erase(id);
    if (const auto found = tails_.find(id); found != tails_.end()) {
      while (step(found->second)) {
      }
      found->second.tail->log()->forget_job(id);
      forget(id);
    }
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
    if (stop.asked()) return false;
    if (step(tailed)) more = true;
    if (finished_.contains(id) || tailed.tail->log()->erased()) ended.push_back(id);
    if (inotify_ && tailed.watch < 0)  // the file came, or was replaced, after the last try
      tailed.watch = ::inotify_add_watch(inotify_.get(), tailed.tail->job().log_path.c_str(), kWatched);
  }
  for (const auto& id : ended) forget(id);
  return more;
}

void Collector::run(const StopSignal& stop) {
  alignas(inotify_event) std::array<char, 64 * 1024> events;
  while (!stop.asked()) {
    take_changes();
    const bool more = step_all(stop);
    on_stored_();
    std::array<pollfd, 3> entries{pollfd{stop.fd(), POLLIN, 0}, pollfd{wake_.fd(), POLLIN, 0},
                                  pollfd{inotify_.get(), POLLIN, 0}};  // a negative descriptor is ignored
    const bool blind = std::any_of(tails_.begin(), tails_.end(), [](const auto& one) { return one.second.watch < 0; });
    ::poll(entries.data(), entries.size(), more ? 0 : blind ? kLookOftenMs : kLookEveryMs);
    wake_.clear();
    if (entries[2].revents == 0) continue;
    const auto got = ::read(inotify_.get(), events.data(), events.size());
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB)) == 0) continue;
      for (auto& [id, tailed] : tails_)  // watch the file that now has the name
        if (tailed.watch == event->wd) tailed.watch = -1;
    }
  }
}

}  // namespace flynn::logs
