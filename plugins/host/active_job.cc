#include "active_job.h"

#include "names.h"

namespace flynn::host {
namespace {

// What Go, in which the clients are written, makes of a time that is not set; it refuses "".
constexpr char kNoTime[] = "0001-01-01T00:00:00Z";

std::string time_or_none(const std::string& time) { return time.empty() ? kNoTime : time; }

json::array mountspecs_of(const JobSpec& spec) {
  json::array specs;
  for (const auto& layer : spec.layers)
    specs.push_back({{"type", "squashfs"},
                     {"id", layer.id},
                     {"size", layer.length},
                     {"hashes", json::object{{"sha512_256", layer.id}}}});
  return specs;
}

json::array ports_of(const JobSpec& spec) {
  json::array ports;
  for (const auto& port : spec.ports) {
    json::object made{{"port", port.port}, {"proto", "tcp"}};
    if (!port.service.empty()) {
      json::object service{{"name", port.service}, {"create", true}};
      if (port.check) {
        const auto& check = *port.check;
        service["check"] = json::object{{"type", check.type == CheckType::http ? "http" : "tcp"},
                                        {"path", check.path},
                                        {"interval", check.interval.count() * kNanosPerMilli},
                                        {"threshold", check.threshold},
                                        {"start_timeout", check.start_timeout.count() * kNanosPerMilli}};
      }
      made["service"] = std::move(service);
    }
    ports.push_back(std::move(made));
  }
  return ports;
}

json::object config_of(const JobSpec& spec) {
  json::object env;
  for (const auto& [name, value] : spec.env) env[name] = value;
  json::array mounts, volumes;
  for (const auto& mount : spec.mounts)
    mounts.push_back({{"target", mount.source}, {"location", mount.target}, {"writeable", mount.writeable}});
  for (const auto& volume : spec.volumes)
    volumes.push_back({{"target", volume.path},
                       {"volume", spec.app_id + "." + volume.name},
                       {"writeable", true},
                       {"delete_on_stop", volume.delete_on_stop}});
  return {{"args", json::array(spec.args.begin(), spec.args.end())},
          {"env", std::move(env)},
          {"tty", spec.tty},
          {"stdin", spec.use_stdin},
          {"ports", ports_of(spec)},
          {"mounts", std::move(mounts)},
          {"volumes", std::move(volumes)},
          {"working_dir", spec.cwd},
          {"uid", spec.uid},
          {"gid", spec.gid},
          {"disable_log", !spec.log}};
}

json::object resources_of(const JobResources& limits) {
  json::object resources;
  const auto put = [&](const char* name, std::uint64_t limit) {
    if (limit > 0) resources[name] = json::object{{"request", limit}, {"limit", limit}};
  };
  put("memory", limits.memory_bytes);
  put("cpu", limits.cpu_millis);
  put("max_procs", limits.pids_max);
  put("max_fd", limits.max_fd);
  return resources;
}

json::object job_of(const JobSpec& spec, const std::string& host_id) {
  json::object metadata = spec.meta;
  metadata[kMetaApp] = spec.app_id;
  metadata[kMetaAppName] = spec.app_name;
  metadata[kMetaRelease] = spec.release_id;
  metadata[kMetaType] = spec.type;
  return {{"id", wire_job_id(host_id, spec.id)},
          {"metadata", std::move(metadata)},
          {"mountspecs", mountspecs_of(spec)},
          {"resources", resources_of(spec.resources)},
          {"partition", "user"},
          {"config", config_of(spec)}};
}

}  // namespace

WireStatus wire_status(const JobUnit& unit) {
  switch (unit.phase) {
    case Phase::none:
    case Phase::preparing:
    case Phase::created:
      return WireStatus::starting;
    case Phase::running:
    case Phase::up:
    case Phase::stopping:
      return WireStatus::running;
    case Phase::down:
      break;
  }
  if (unit.exit_status) return *unit.exit_status == 0 ? WireStatus::done : WireStatus::crashed;
  if (!unit.started_at.empty()) return WireStatus::crashed;
  return unit.error.empty() ? WireStatus::done : WireStatus::failed;
}

json::object active_job(const JobUnit& unit, const std::string& host_id, pid_t pid) {
  json::object job{{"job", job_of(unit.spec, host_id)},
                   {"host_id", host_id},
                   {"internal_ip", unit.address},
                   {"pid", pid},
                   {"force_stop", unit.stop_requested},
                   {"status", static_cast<int>(wire_status(unit))},
                   {"created_at", time_or_none(unit.created_at)},
                   {"started_at", time_or_none(unit.started_at)},
                   {"ended_at", time_or_none(unit.ended_at)}};
  if (unit.exit_status) job["exit_status"] = *unit.exit_status;
  if (!unit.error.empty()) job["error"] = unit.error;
  return job;
}

std::string wire_job_id(const std::string& host_id, const std::string& job_id) { return host_id + "-" + job_id; }

Result<std::string> job_id_of_wire(const std::string& host_id, const std::string& given) {
  const auto prefix = host_id + "-";
  auto id = given.starts_with(prefix) ? given.substr(prefix.size()) : given;
  if (!is_safe_name(id)) return Error{Code::invalid_argument, "id is no job id"};
  return id;
}

}  // namespace flynn::host
