#include "cell_state.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace flynn::scheduler {
namespace {

constexpr std::array<std::string_view, 6> kPhases{"planned", "pending", "starting", "up", "stopping", "down"};
constexpr int kProcessesMax = 10'000;

std::pair<std::string_view, std::string_view> split(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return {text, {}};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

JobPhase phase_of(std::string_view name) {
  for (std::size_t i = 1; i < kPhases.size(); ++i)
    if (kPhases[i] == name) return static_cast<JobPhase>(i);
  return JobPhase::pending;
}

std::map<std::string, std::string> string_map(const json::object* object) {
  std::map<std::string, std::string> map;
  if (object == nullptr) return map;
  for (const auto& [key, value] : *object)
    if (value.is_string()) map.emplace(key, value.get_string());
  return map;
}

Resources resources_of(const json::object* object) {
  if (object == nullptr) return {};
  return {int_or(*object, "memory_bytes"), int_or(*object, "cpu_millis")};
}

HostState host_of(const std::string& id, const json::object& value, std::int64_t create_revision) {
  HostState host;
  host.id = id;
  host.addr = string_or(value, "addr");
  host.capacity = resources_of(find_object(value, "capacity"));
  host.tags = string_map(find_object(value, "tags"));
  host.create_revision = create_revision;
  return host;
}

FormationState formation_of(std::string_view app, std::string_view release, const json::object& value) {
  FormationState formation;
  formation.app_id = app;
  formation.release_id = release;
  if (const auto* processes = find_object(value, "processes"))
    for (const auto& [type, count] : *processes)
      formation.processes[type] =
          static_cast<int>(std::clamp<std::int64_t>(int_or(*processes, type), 0, kProcessesMax));
  if (const auto* tags = find_object(value, "tags"))
    for (const auto& [type, wanted] : *tags) formation.tags[type] = string_map(wanted.if_object());
  return formation;
}

void identify(JobState& job, const json::object& value) {
  job.app_id = string_or(value, "app_id", job.app_id);
  job.release_id = string_or(value, "release_id", job.release_id);
  job.type = string_or(value, "type", job.type);
  job.kind = string_or(value, "kind", job.kind);
}

}  // namespace

TimeMs time_of_rfc3339(std::string_view text) {
  std::tm parts{};
  int millis = 0;
  const std::string copy(text);
  const int read = std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &parts.tm_year, &parts.tm_mon,
                               &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &millis);
  if (read < 6) return 0;
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return static_cast<TimeMs>(::timegm(&parts)) * 1000 + millis;
}

std::string_view phase_name(JobPhase phase) { return kPhases[static_cast<std::size_t>(phase)]; }

void CellState::put(const KeyValue& kv) {
  const auto* value = kv.value.if_object();
  if (value == nullptr) return;
  const auto [noun, rest] = split(kv.key);
  const std::string id(rest);
  if (noun == "jobs") {
    const auto [kind, path] = split(rest);
    put_job(kind, path, kv);
  } else if (noun == "hosts") {
    hosts[id] = host_of(id, *value, kv.create_revision);
    absent_hosts.erase(id);
  } else if (noun == "formations") {
    const auto [app, release] = split(rest);
    auto& formation = formations[kv.key] = formation_of(app, release, *value);
    formation.mod_revision = kv.mod_revision;
  } else if (noun == "apps") {
    apps[id] = *value;
    deleted_apps.erase(id);
  } else if (noun == "releases") {
    releases[id] = *value;
  } else if (noun == "artifacts") {
    artifacts[id] = *value;
  }
}

void CellState::erase(std::string_view key) {
  const auto [noun, rest] = split(key);
  const std::string id(rest);
  if (noun == "jobs") {
    const auto [kind, path] = split(rest);
    erase_job(kind, path);
  } else if (noun == "hosts") {
    hosts.erase(id);
  } else if (noun == "formations") {
    formations.erase(std::string(key));
  } else if (noun == "apps") {
    if (apps.erase(id) > 0) deleted_apps.insert(id);
  } else if (noun == "releases") {
    releases.erase(id);
  } else if (noun == "artifacts") {
    artifacts.erase(id);
  }
}

void CellState::replace(std::string_view prefix, const RangeResult& all) {
  if (prefix == "jobs/") jobs.clear();
  if (prefix == "hosts/") hosts.clear();
  if (prefix == "formations/") formations.clear();
  if (prefix == "releases/") releases.clear();
  if (prefix == "artifacts/") artifacts.clear();
  if (prefix == "apps/") {
    for (const auto& [id, app] : apps) deleted_apps.insert(id);  // put() takes those back that are still there
    apps.clear();
  }
  for (const auto& kv : all.kvs) put(kv);
}

void CellState::note_absent_hosts(TimeMs now) {
  for (const auto& [id, job] : jobs)
    if (job.has_spec && !hosts.contains(job.host_id)) absent_hosts.try_emplace(job.host_id, now);
}

void CellState::put_job(std::string_view kind, std::string_view rest, const KeyValue& kv) {
  const auto& value = kv.value.get_object();
  const auto [host, id] = split(rest);
  if (kind == "index" || id.empty()) return;
  auto& job = jobs[std::string(id)];
  job.id = id;
  job.host_id = host;
  if (kind == "stop") job.stop_requested = true;
  if (kind == "spec") {
    identify(job, value);
    job.has_spec = true;
    job.claim = resources_of(find_object(value, "resources"));
    job.restarts = static_cast<int>(std::clamp<std::int64_t>(int_or(value, "restarts"), 0, 1000));
    job.created_ms = time_of_rfc3339(string_or(value, "created_at"));
    const auto* volumes = find_array(value, "volumes");
    job.has_volumes = volumes != nullptr && !volumes->empty();
  }
  if (kind == "status") {
    identify(job, value);
    job.has_status = true;
    job.phase = phase_of(string_or(value, "state"));
    job.error = string_or(value, "error");
    job.exit_status = static_cast<int>(int_or(value, "exit_status"));
    job.up_ms = time_of_rfc3339(string_or(value, "up_at"));
    job.ended_ms = time_of_rfc3339(string_or(value, "ended_at", string_or(value, "updated_at")));
  }
}

void CellState::erase_job(std::string_view kind, std::string_view rest) {
  const auto [host, id] = split(rest);
  const auto found = jobs.find(std::string(id));
  if (found == jobs.end() || found->second.host_id != host) return;
  auto& job = found->second;
  if (kind == "spec") job.has_spec = false;
  if (kind == "stop") job.stop_requested = false;
  if (kind == "status") {
    job.has_status = false;
    job.phase = JobPhase::planned;
  }
  if (!job.has_spec && !job.has_status && !job.stop_requested) jobs.erase(found);
}

}  // namespace flynn::scheduler
