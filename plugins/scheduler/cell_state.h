// CellState: what the store says about hosts, jobs and what should run, as the planner reads it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "flynn/sdk/store.h"

namespace flynn::scheduler {

/// Milliseconds since 1970.
using TimeMs = std::int64_t;
TimeMs time_of_rfc3339(std::string_view text);  // 0 when it is none

struct Resources {
  std::int64_t memory_bytes = 0, cpu_millis = 0;
};

struct HostState {
  std::string id, addr;
  Resources capacity;
  std::map<std::string, std::string> tags;
  std::int64_t create_revision = 0;
};

enum class JobPhase { planned, pending, starting, up, stopping, down };
std::string_view phase_name(JobPhase phase);

/// A job: its spec, its stop request and its status, each of which may be there or not.
struct JobState {
  std::string id, host_id, app_id, release_id, type, kind, error;
  Resources claim;
  bool has_spec = false, stop_requested = false, has_status = false, has_volumes = false;
  JobPhase phase = JobPhase::planned;
  int restarts = 0;  // ends in a row before this job, see restart_backoff.h
  int exit_status = 0;
  TimeMs created_ms = 0, up_ms = 0, ended_ms = 0;

  bool live() const { return has_spec && !stop_requested && phase != JobPhase::down; }
  /// Takes room on its host, also while it stops.
  bool occupies() const { return has_spec && phase != JobPhase::down; }
};

struct FormationState {
  std::string app_id, release_id;
  std::map<std::string, int> processes;
  std::map<std::string, std::map<std::string, std::string>> tags;  // by type
  std::int64_t mod_revision = 0;
};

/// Thread: one at a time.
class CellState {
 public:
  static constexpr std::string_view kPrefixes[] = {"apps/",  "artifacts/", "formations/",
                                                   "hosts/", "jobs/",      "releases/"};

  void put(const KeyValue& kv);
  void erase(std::string_view key);
  /// Everything below `prefix` is what `all` says.
  void replace(std::string_view prefix, const RangeResult& all);
  /// Notes since when a host that jobs are on is not there.
  void note_absent_hosts(TimeMs now);

  std::map<std::string, HostState> hosts;
  std::map<std::string, JobState> jobs;              // by job id
  std::map<std::string, FormationState> formations;  // by key
  std::map<std::string, json::object> apps, releases, artifacts;
  std::set<std::string> deleted_apps;  // seen to go while jobs of them may run
  std::map<std::string, TimeMs> absent_hosts;

 private:
  void put_job(std::string_view kind, std::string_view rest, const KeyValue& kv);
  void erase_job(std::string_view kind, std::string_view rest);
};

}  // namespace flynn::scheduler
