#include "job_spec.h"

#include <algorithm>

#include "flynn/sdk/uuid.h"

namespace flynn::scheduler {
namespace {

constexpr int kFirstPort = 5000;
constexpr std::int64_t kNanosPerMilli = 1'000'000;
constexpr std::int64_t kStopTimeoutMs = 10'000;

// What the job is made of, found or absent.
struct Source {
  std::string app_id, app_name, release_id;
  const json::object* release = nullptr;
  const json::object* process = nullptr;
  std::vector<const json::object*> artifacts;
};

Result<Source> find_source(const CellState& cell, const json::object& request) {
  Source source;
  auto app_id = require_string(request, "app_id");
  if (!app_id) return app_id.error();
  source.app_id = *app_id;
  const auto app = cell.apps.find(*app_id);
  if (app == cell.apps.end()) return Error{Code::not_found, "there is no app " + *app_id};
  source.app_name = string_or(app->second, "name");
  source.release_id = string_or(request, "release_id", string_or(app->second, "release"));
  if (source.release_id.empty()) return source;
  const auto release = cell.releases.find(source.release_id);
  if (release == cell.releases.end()) return Error{Code::not_found, "there is no release " + source.release_id};
  source.release = &release->second;
  if (const auto* processes = find_object(*source.release, "processes"))
    source.process = find_object(*processes, string_or(request, "type"));
  for (const auto& id : strings_or_empty(*source.release, "artifacts")) {
    const auto artifact = cell.artifacts.find(id);
    if (artifact == cell.artifacts.end()) return Error{Code::not_found, "there is no artifact " + id};
    source.artifacts.push_back(&artifact->second);
  }
  return source;
}

// The rootfs that artifacts give, lowest layer first.
json::array layers_of(const Source& source) {
  json::array layers;
  for (const auto* artifact : source.artifacts) {
    const auto* manifest = find_object(*artifact, "manifest");
    const auto* rootfs = manifest == nullptr ? nullptr : find_array(*manifest, "rootfs");
    const auto* first = rootfs == nullptr || rootfs->empty() ? nullptr : rootfs->front().if_object();
    const auto* found = first == nullptr ? nullptr : find_array(*first, "layers");
    if (found == nullptr) continue;
    for (const auto& layer : *found)
      if (const auto* object = layer.if_object())
        layers.push_back({{"id", string_or(*object, "id")}, {"length", int_or(*object, "length")}});
  }
  return layers;
}

void merge_env(json::object& into, const json::object* from) {
  if (from == nullptr) return;
  for (const auto& [name, value] : *from)
    if (value.is_string()) into[name] = value;
}

// Later artifacts are nearer to the app: their entrypoint wins, member by member.
json::object entrypoint_of(const Source& source) {
  json::object merged, env;
  for (const auto* artifact : source.artifacts) {
    const auto* manifest = find_object(*artifact, "manifest");
    const auto* all = manifest == nullptr ? nullptr : find_object(*manifest, "entrypoints");
    const auto* entrypoint = all == nullptr ? nullptr : find_object(*all, "_default");
    if (entrypoint == nullptr) continue;
    merge_env(env, find_object(*entrypoint, "env"));
    for (const char* member : {"args", "cwd", "uid", "gid"})
      if (const auto* value = entrypoint->if_contains(member); value != nullptr && !value->is_null())
        merged[member] = *value;
  }
  merged["env"] = std::move(env);
  return merged;
}

std::int64_t limit_or(const json::object* resources, const char* name, std::int64_t fallback) {
  const auto* entry = resources == nullptr ? nullptr : find_object(*resources, name);
  if (entry == nullptr) return fallback;
  const auto value = int_or(*entry, "limit", int_or(*entry, "request", fallback));
  return value > 0 ? value : fallback;
}

// The release speaks Flynn's {memory: {limit}}, a request of a plugin our {memory_bytes}.
json::object resources_of(const json::object* process, const json::object* asked) {
  const auto* limits = process == nullptr ? nullptr : find_object(*process, "resources");
  json::object resources{{"memory_bytes", limit_or(limits, "memory", kMemoryBytesDefault)},
                         {"cpu_millis", limit_or(limits, "cpu", kCpuMillisDefault)},
                         {"pids_max", limit_or(limits, "max_procs", kPidsMaxDefault)},
                         {"max_fd", limit_or(limits, "max_fd", kMaxFdDefault)}};
  if (asked != nullptr)
    for (auto& member : resources)
      if (const auto value = int_or(*asked, member.key()); value > 0) member.value() = value;
  return resources;
}

json::object service_of(const json::object& service) {
  json::object made{{"name", string_or(service, "name")}};
  const auto* check = find_object(service, "check");
  if (check == nullptr) return made;
  json::object out{{"type", string_or(*check, "type", "tcp")}};
  if (auto path = find_string(*check, "path")) out["path"] = *path;
  if (const auto interval = int_or(*check, "interval"); interval > 0) out["interval_ms"] = interval / kNanosPerMilli;
  if (const auto threshold = int_or(*check, "threshold"); threshold > 0) out["threshold"] = threshold;
  if (const auto start = int_or(*check, "start_timeout"); start > 0) out["start_timeout_ms"] = start / kNanosPerMilli;
  made["check"] = std::move(out);
  return made;
}

json::array ports_of(const json::object& process) {
  json::array ports;
  const auto* declared = find_array(process, "ports");
  if (declared == nullptr) return ports;
  for (const auto& item : *declared) {
    const auto* port = item.if_object();
    if (port == nullptr) continue;
    const auto index = static_cast<std::int64_t>(ports.size());
    const auto number = int_or(*port, "port");
    json::object made{{"port", number > 0 && number < 65536 ? number : kFirstPort + index},
                      {"proto", string_or(*port, "proto", "tcp")}};
    if (const auto* service = find_object(*port, "service"); service != nullptr && !string_or(*service, "name").empty())
      made["service"] = service_of(*service);
    else if (auto name = string_or(process, "service"); index == 0 && !name.empty())
      made["service"] = json::object{{"name", name}, {"check", json::object{{"type", "tcp"}}}};
    ports.push_back(std::move(made));
  }
  return ports;
}

json::array volumes_of(const json::object& process, const std::string& type) {
  json::array volumes;
  const auto* declared = find_array(process, "volumes");
  if (declared == nullptr) return volumes;
  for (const auto& item : *declared)
    if (const auto* volume = item.if_object())
      volumes.push_back({{"name", type + "-" + std::to_string(volumes.size())},
                         {"path", string_or(*volume, "path")},
                         {"delete_on_stop", bool_or(*volume, "delete_on_stop")}});
  return volumes;
}

json::array array_or_empty(const json::object& object, const char* key) {
  const auto* found = find_array(object, key);
  return found == nullptr ? json::array() : *found;
}

// docs/state.md: FLYNN_*, PORT* < entrypoint < release < process < request.
json::object env_of(const Source& source, const json::object& spec, const json::object& entrypoint,
                    const json::object& request) {
  json::object env{{"FLYNN_APP_ID", source.app_id},
                   {"FLYNN_APP_NAME", source.app_name},
                   {"FLYNN_RELEASE_ID", source.release_id},
                   {"FLYNN_PROCESS_TYPE", spec.at("type")},
                   {"FLYNN_JOB_ID", spec.at("id")}};
  int index = 0;
  for (const auto& port : spec.at("ports").get_array()) {
    const auto text = std::to_string(int_or(port.get_object(), "port"));
    if (index == 0) env["PORT"] = text;
    env["PORT_" + std::to_string(index++)] = text;
  }
  merge_env(env, find_object(entrypoint, "env"));
  if (bool_or(request, "release_env", true)) {
    if (source.release != nullptr) merge_env(env, find_object(*source.release, "env"));
    if (source.process != nullptr) merge_env(env, find_object(*source.process, "env"));
  }
  merge_env(env, find_object(request, "env"));
  return env;
}

json::array args_of(const Source& source, const json::object& entrypoint, const json::object& request) {
  for (const auto* from : {&request, source.process, &entrypoint})
    if (const auto* args = from == nullptr ? nullptr : find_array(*from, "args"); args != nullptr && !args->empty())
      return *args;
  return {};
}

bool all_strings(const json::array& array) {
  return std::all_of(array.begin(), array.end(), [](const json::value& item) { return item.is_string(); });
}

}  // namespace

Result<json::object> make_job_spec(const CellState& cell, const json::object& request, const std::string& job_id,
                                   const std::string& created_at) {
  auto source = find_source(cell, request);
  if (!source) return source.error();
  const std::string kind = string_or(request, "kind", "one_off"), type = string_or(request, "type");
  const bool service = kind == "service";
  const auto* asked_layers = find_array(request, "layers");
  json::array layers = asked_layers != nullptr ? *asked_layers : layers_of(*source);
  if (layers.empty())
    return Error{Code::failed_precondition, "release " + source->release_id + " of app " + source->app_name +
                                                " has no artifacts with layers: deploy something first"};
  const json::object entrypoint = asked_layers != nullptr ? json::object() : entrypoint_of(*source);
  json::array args = args_of(*source, entrypoint, request);
  if (args.empty() || !all_strings(args))
    return Error{Code::failed_precondition, "there is no command for process type \"" + type + "\" of release " +
                                                source->release_id +
                                                ": neither the process type nor the image names one"};
  const auto number = [&](const char* key, std::int64_t fallback) {
    return int_or(request, key, int_or(entrypoint, key, fallback));
  };
  json::object spec{{"v", 1},
                    {"id", job_id},
                    {"app_id", source->app_id},
                    {"app_name", source->app_name},
                    {"release_id", source->release_id},
                    {"type", type},
                    {"kind", kind}};
  spec["layers"] = std::move(layers);
  spec["args"] = std::move(args);
  spec["ports"] = service && source->process != nullptr ? ports_of(*source->process) : json::array();
  spec["env"] = env_of(*source, spec, entrypoint, request);
  spec["cwd"] = string_or(request, "cwd", string_or(entrypoint, "cwd", "/app"));
  spec["uid"] = number("uid", kUidDefault);
  spec["gid"] = number("gid", kUidDefault);
  for (const char* flag : {"tty", "attach", "stdin"}) spec[flag] = bool_or(request, flag);
  spec["log"] = bool_or(request, "log", true);
  for (const char* size : {"columns", "lines", "timeout_ms"}) spec[size] = int_or(request, size);
  spec["mounts"] = array_or_empty(request, "mounts");
  spec["volumes"] =
      service && source->process != nullptr ? volumes_of(*source->process, type) : array_or_empty(request, "volumes");
  spec["resources"] = resources_of(source->process, find_object(request, "resources"));
  const auto* meta = find_object(request, "meta");
  spec["meta"] = meta == nullptr ? json::object() : *meta;
  spec["stop_timeout_ms"] = int_or(request, "stop_timeout_ms", kStopTimeoutMs);
  spec["restarts"] = int_or(request, "restarts");
  spec["created_at"] = created_at;
  return spec;
}

Result<json::object> complete_job_spec(json::object spec, const std::string& created_at) {
  auto id = require_string(spec, "id");
  if (!id) return id.error();
  if (!is_uuid(*id)) return Error{Code::invalid_argument, "member \"id\" must be a UUID"};
  if (auto app = require_string(spec, "app_id"); !app) return app.error();
  for (const char* list : {"args", "layers"})
    if (const auto* array = find_array(spec, list); array == nullptr || array->empty())
      return Error{Code::invalid_argument, std::string("member \"") + list + "\" must be a list that is not empty"};
  const json::object defaults{{"app_name", ""},
                              {"release_id", ""},
                              {"type", ""},
                              {"kind", "one_off"},
                              {"env", json::object()},
                              {"cwd", "/app"},
                              {"uid", kUidDefault},
                              {"gid", kUidDefault},
                              {"tty", false},
                              {"attach", false},
                              {"stdin", false},
                              {"log", true},
                              {"columns", 0},
                              {"lines", 0},
                              {"ports", json::array()},
                              {"mounts", json::array()},
                              {"volumes", json::array()},
                              {"meta", json::object()},
                              {"timeout_ms", 0},
                              {"stop_timeout_ms", kStopTimeoutMs}};
  for (const auto& member : defaults)
    if (const auto* found = spec.if_contains(member.key()); found == nullptr || found->is_null())
      spec[member.key()] = member.value();
  spec["resources"] = resources_of(nullptr, find_object(spec, "resources"));
  spec["v"] = 1;
  spec["created_at"] = created_at;
  return spec;
}

Request placement_request(const json::object& spec) {
  Request request;
  request.app_id = string_or(spec, "app_id");
  request.type = string_or(spec, "type");
  if (const auto* resources = find_object(spec, "resources"))
    request.claim = {int_or(*resources, "memory_bytes"), int_or(*resources, "cpu_millis")};
  return request;
}

}  // namespace flynn::scheduler
