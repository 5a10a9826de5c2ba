/// What the hosts say about jobs, kept in memory and fed by the mirror of `jobs/status/`.
///
/// Thread: [any].
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "deployment_plan.h"
#include "document.h"
#include "flynn/sdk/store.h"

namespace flynn::controller {

/// The wire's Job made of a host's JobStatus.
json::object job_of_status(const json::object& status);
/// "<host>-<uuid>", or the uuid alone, to the uuid; anything else as it is.
std::string job_uuid(const std::string& reference);

/// Jobs of one release, counted by type. One-off and build jobs are left out.
struct JobCounts {
  Counts up;
  Counts running;  // all that have not ended
};

class JobCache {
 public:
  /// The whole truth: what is absent is gone.
  void replace(const std::vector<KeyValue>& statuses);
  void apply(const std::vector<StoreEvent>& events);

  std::vector<json::object> of_app(const std::string& app_id) const;  // newest first
  std::vector<json::object> active() const;
  std::optional<json::object> find(const std::string& uuid) const;  // a JobStatus
  JobCounts count(const std::string& app_id, const std::string& release_id) const;
  std::size_t running_of_app(const std::string& app_id) const;

  /// Statuses whose state has changed since the last call, and ids that are gone, in order. One taker.
  struct Changes {
    std::vector<json::object> statuses;
    std::vector<std::string> gone;
  };
  Changes take_changes();
  /// Waits until something has changed after `seen` or `notify` was called; answers the newest version.
  std::uint64_t wait_change(std::uint64_t seen, std::chrono::milliseconds timeout) const;
  void notify();
  std::uint64_t version() const;

 private:
  void set(const json::object& status);
  void erase(const std::string& uuid);
  void changed();

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, json::object> by_uuid_;
  Changes changes_;
  std::uint64_t version_ = 0;
};

}  // namespace flynn::controller
