#include "wire_job.h"

#include "active_job.h"
#include "flynn/sdk/uuid.h"
#include "job_spec.h"
#include "names.h"

namespace flynn::host {
namespace {

constexpr char kUseController[] =
    ": such a job can't be started here; start it as a process of a release, or by POST /apps/:a/jobs of the "
    "controller";

Error wrong(const std::string& member, const std::string& why) {
  return Error{Code::invalid_argument, member + " " + why};
}

bool is_set(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return false;
  if (const auto* flag = value->if_bool()) return *flag;
  if (const auto* list = value->if_array()) return !list->empty();
  if (const auto* members = value->if_object()) return !members->empty();
  return true;
}

// The walls of a job are the same for all.
Result<void> refuse_privileges(const json::object& job, const json::object& config) {
  for (const char* member : {"profiles", "resurrect"})
    if (is_set(job, member)) return Error{Code::unimplemented, std::string(member) + kUseController};
  for (const char* member : {"host_network", "host_pid_namespace", "linux_capabilities", "allowed_devices",
                             "auto_created_devices", "writeable_cgroups", "mounts"})
    if (is_set(config, member)) return Error{Code::unimplemented, "config." + std::string(member) + kUseController};
  return {};
}

Result<json::array> layers_of(const json::object& job) {
  const auto* specs = find_array(job, "mountspecs");
  if (specs == nullptr || specs->empty()) return wrong("mountspecs", "must name at least one layer");
  json::array layers;
  for (const auto& entry : *specs) {
    const auto* spec = entry.if_object();
    if (spec == nullptr) return wrong("mountspecs", "must be a list of objects");
    const auto type = string_or(*spec, "type", "squashfs"), id = string_or(*spec, "id");
    if (type != "squashfs") return Error{Code::unimplemented, "mountspecs.type " + type + kUseController};
    if (!is_layer_id(id)) return wrong("mountspecs.id", "must be the hex SHA-512/256 of the layer");
    layers.push_back({{"id", id}, {"length", int_or(*spec, "size")}});
  }
  return layers;
}

Result<json::array> ports_of(const json::object& config) {
  json::array ports;
  const auto* given = find_array(config, "ports");
  if (given == nullptr) return ports;
  for (const auto& entry : *given) {
    const auto* port = entry.if_object();
    if (port == nullptr) return wrong("config.ports", "must be a list of objects");
    json::object made{{"port", int_or(*port, "port")}, {"proto", string_or(*port, "proto", "tcp")}};
    if (made["proto"] != "tcp") return Error{Code::unimplemented, "config.ports.proto" + std::string(kUseController)};
    if (const auto* service = find_object(*port, "service")) {
      json::object announced{{"name", string_or(*service, "name")}};
      if (const auto* check = find_object(*service, "check")) {
        json::object asked{{"type", string_or(*check, "type", "tcp")}, {"path", string_or(*check, "path", "/")}};
        if (const auto every = int_or(*check, "interval"); every > 0) asked["interval_ms"] = every / kNanosPerMilli;
        if (const auto times = int_or(*check, "threshold"); times > 0) asked["threshold"] = times;
        if (const auto most = int_or(*check, "start_timeout"); most > 0)
          asked["start_timeout_ms"] = most / kNanosPerMilli;
        announced["check"] = std::move(asked);
      }
      made["service"] = std::move(announced);
    }
    ports.push_back(std::move(made));
  }
  return ports;
}

Result<json::array> volumes_of(const json::object& config, const std::string& app_id) {
  json::array volumes;
  const auto* given = find_array(config, "volumes");
  if (given == nullptr) return volumes;
  for (const auto& entry : *given) {
    const auto* volume = entry.if_object();
    if (volume == nullptr) return wrong("config.volumes", "must be a list of objects");
    const auto id = string_or(*volume, "volume"), prefix = app_id + ".";
    if (!id.starts_with(prefix))
      return wrong("config.volumes.volume", "must be a volume of the job's app: " + prefix + "NAME");
    volumes.push_back({{"name", id.substr(prefix.size())},
                       {"path", string_or(*volume, "target")},
                       {"delete_on_stop", bool_or(*volume, "delete_on_stop")}});
  }
  return volumes;
}

json::object resources_of(const json::object& job) {
  json::object resources;
  const auto* asked = find_object(job, "resources");
  if (asked == nullptr) return resources;
  for (auto [from, to] :
       {std::pair{"memory", "memory_bytes"}, {"cpu", "cpu_millis"}, {"max_procs", "pids_max"}, {"max_fd", "max_fd"}})
    if (const auto* spec = find_object(*asked, from))
      if (const auto limit = int_or(*spec, "limit", int_or(*spec, "request")); limit > 0) resources[to] = limit;
  return resources;
}

}  // namespace

Result<json::object> job_spec_of_wire(const json::object& job, const std::string& host_id, const std::string& job_id) {
  if (!is_uuid(job_id)) return wrong("id", "must be a UUID, or \"" + wire_job_id(host_id, "<UUID>") + "\"");
  const json::object none;
  const auto* given = find_object(job, "config");
  const auto& config = given == nullptr ? none : *given;
  if (auto allowed = refuse_privileges(job, config); !allowed) return allowed.error();
  json::object meta;
  if (const auto* metadata = find_object(job, "metadata")) meta = *metadata;
  const auto app_id = string_or(meta, kMetaApp);
  if (!is_safe_name(app_id))
    return wrong("metadata", "must name the job's app by id as \"" + std::string(kMetaApp) + "\"");
  auto layers = layers_of(job);
  if (!layers) return layers.error();
  auto ports = ports_of(config);
  if (!ports) return ports.error();
  auto volumes = volumes_of(config, app_id);
  if (!volumes) return volumes.error();
  json::object spec{{"v", 1},
                    {"id", job_id},
                    {"host_id", host_id},
                    {"app_id", app_id},
                    {"app_name", string_or(meta, kMetaAppName)},
                    {"release_id", string_or(meta, kMetaRelease)},
                    {"type", string_or(meta, kMetaType)},
                    {"kind", "one_off"},
                    {"layers", std::move(*layers)},
                    {"ports", std::move(*ports)},
                    {"volumes", std::move(*volumes)},
                    {"resources", resources_of(job)},
                    {"tty", bool_or(config, "tty")},
                    {"stdin", bool_or(config, "stdin")},
                    {"log", !bool_or(config, "disable_log")}};
  const auto args = strings_or_empty(config, "args");
  spec["args"] = json::array(args.begin(), args.end());
  for (auto [from, to] : {std::pair{"env", "env"}, {"working_dir", "cwd"}, {"uid", "uid"}, {"gid", "gid"}})
    if (const auto* value = config.if_contains(from); value != nullptr && !value->is_null()) spec[to] = *value;
  if (string_or(spec, "cwd").empty()) spec.erase("cwd");
  for (const char* known : {kMetaApp, kMetaAppName, kMetaRelease, kMetaType}) meta.erase(known);
  spec["meta"] = std::move(meta);
  // The very check that the host will do: what it would refuse later, without a word to the client, is refused now.
  if (auto parsed = parse_job_spec(spec); !parsed) return parsed.error();
  return spec;
}

}  // namespace flynn::host
