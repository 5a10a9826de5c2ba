#include "job_cache.h"

#include <algorithm>
#include <set>

#include "ident.h"

namespace flynn::controller {
namespace {

bool is_running(const json::object& status) { return text_of(status, "state") != "down"; }

void sort_newest_first(std::vector<json::object>& jobs) {
  std::stable_sort(jobs.begin(), jobs.end(), [](const json::object& a, const json::object& b) {
    return text_of(a, "created_at") > text_of(b, "created_at");
  });
}

}  // namespace

json::object job_of_status(const json::object& status) {
  std::string uuid = text_of(status, "id");
  std::string host = text_of(status, "host_id");
  json::object job{{"id", host.empty() ? "" : host + "-" + uuid},
                   {"uuid", uuid},
                   {"host_id", host},
                   {"app", text_of(status, "app_id")},
                   {"release", text_of(status, "release_id")},
                   {"type", text_of(status, "type")},
                   {"state", text_of(status, "state")},
                   {"args", array_of(status, "args")},
                   {"meta", object_of(status, "meta")},
                   {"created_at", text_of(status, "created_at")},
                   {"updated_at", text_of(status, "updated_at")}};
  if (member(status, "exit_status") != nullptr) job["exit_status"] = number_of(status, "exit_status");
  std::string error = text_of(status, "error");
  if (error.empty() && flag_of(status, "oom")) error = "out of memory: the job used more than its limit";
  if (!error.empty()) job["host_error"] = error;
  if (std::string started = text_of(status, "started_at"); !started.empty()) job["run_at"] = started;
  return job;
}

std::string job_uuid(const std::string& reference) {
  constexpr std::size_t kUuidSize = 36;
  if (reference.size() <= kUuidSize) return reference;
  return reference.substr(reference.size() - kUuidSize);
}

void JobCache::set(const json::object& status) {
  std::string uuid = text_of(status, "id");
  if (uuid.empty()) return;
  auto [entry, added] = by_uuid_.try_emplace(uuid);
  if (added || text_of(entry->second, "state") != text_of(status, "state")) changes_.statuses.push_back(status);
  entry->second = status;
}

void JobCache::erase(const std::string& uuid) {
  if (by_uuid_.erase(uuid) == 0) return;
  changes_.gone.push_back(uuid);
}

void JobCache::changed() {
  ++version_;
  changed_.notify_all();
}

void JobCache::replace(const std::vector<KeyValue>& statuses) {
  std::lock_guard lock(mutex_);
  std::set<std::string> present;
  for (const KeyValue& kv : statuses) {
    if (!kv.value.is_object()) continue;
    present.insert(text_of(kv.value.get_object(), "id"));
    set(kv.value.get_object());
  }
  std::vector<std::string> absent;
  for (const auto& [uuid, status] : by_uuid_) {
    if (!present.contains(uuid)) absent.push_back(uuid);
  }
  for (const std::string& uuid : absent) erase(uuid);
  changed();
}

void JobCache::apply(const std::vector<StoreEvent>& events) {
  std::lock_guard lock(mutex_);
  for (const StoreEvent& event : events) {
    if (event.kind == EventKind::put && event.kv.value.is_object()) {
      set(event.kv.value.get_object());
    } else if (event.kind == EventKind::erase) {
      erase(event.kv.key.substr(event.kv.key.rfind('/') + 1));
    }
  }
  changed();
}

std::vector<json::object> JobCache::of_app(const std::string& app_id) const {
  std::vector<json::object> out;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [uuid, status] : by_uuid_) {
      if (text_of(status, "app_id") == app_id) out.push_back(job_of_status(status));
    }
  }
  sort_newest_first(out);
  return out;
}

std::vector<json::object> JobCache::active() const {
  std::vector<json::object> out;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [uuid, status] : by_uuid_) {
      if (is_running(status)) out.push_back(job_of_status(status));
    }
  }
  sort_newest_first(out);
  return out;
}

std::optional<json::object> JobCache::find(const std::string& uuid) const {
  std::lock_guard lock(mutex_);
  auto found = by_uuid_.find(uuid);
  if (found == by_uuid_.end()) return std::nullopt;
  return found->second;
}

JobCounts JobCache::count(const std::string& app_id, const std::string& release_id) const {
  JobCounts counts;
  std::lock_guard lock(mutex_);
  for (const auto& [uuid, status] : by_uuid_) {
    if (text_of(status, "app_id") != app_id || text_of(status, "release_id") != release_id) continue;
    if (text_of(status, "kind", "service") != "service" || !is_running(status)) continue;
    std::string type = text_of(status, "type");
    ++counts.running[type];
    if (text_of(status, "state") == "up") ++counts.up[type];
  }
  return counts;
}

std::size_t JobCache::running_of_app(const std::string& app_id) const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(by_uuid_.begin(), by_uuid_.end(), [&](const auto& entry) {
    return text_of(entry.second, "app_id") == app_id && is_running(entry.second);
  }));
}

JobCache::Changes JobCache::take_changes() {
  std::lock_guard lock(mutex_);
  return std::exchange(changes_, {});
}

std::uint64_t JobCache::wait_change(std::uint64_t seen, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return version_ != seen; });
  return version_;
}

void JobCache::notify() {
  std::lock_guard lock(mutex_);
  changed();
}

std::uint64_t JobCache::version() const {
  std::lock_guard lock(mutex_);
  return version_;
}

}  // namespace flynn::controller
