#include "job_spec.h"

#include <algorithm>
#include <limits>

#include "names.h"

namespace flynn::host {
namespace {

constexpr std::size_t kArgsMax = 4096;
constexpr std::size_t kEnvMax = 4096;
constexpr std::size_t kListMax = 64;  // ports, mounts, volumes
constexpr std::int64_t kMillisecondsMax = 7LL * 24 * 3600 * 1000;

Error wrong(const std::string& member, const std::string& why) {
  return Error{Code::invalid_argument, "job spec: " + member + " " + why};
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// Out-of-range numbers become the nearest bound.
template <typename T>
T bounded(const json::object& object, std::string_view key, std::int64_t fallback, std::int64_t low,
          std::int64_t high) {
  return static_cast<T>(std::clamp(int_or(object, key, fallback), low, high));
}

milliseconds duration(const json::object& object, std::string_view key, std::int64_t fallback, std::int64_t low) {
  return milliseconds(bounded<std::int64_t>(object, key, fallback, low, kMillisecondsMax));
}

template <typename Item, typename Parse>
Result<std::vector<Item>> parse_list(const json::object& document, const std::string& key, std::size_t most,
                                     Parse parse) {
  std::vector<Item> items;
  const auto* list = find_array(document, key);
  if (list == nullptr) return items;
  if (list->size() > most) return wrong(key, "has more than " + std::to_string(most) + " entries");
  for (const auto& entry : *list) {
    if (!entry.is_object()) return wrong(key, "must be a list of objects");
    Result<Item> item = parse(entry.get_object());
    if (!item) return item.error();
    items.push_back(*std::move(item));
  }
  return items;
}

Result<Layer> parse_layer(const json::object& object) {
  Layer layer{string_or(object, "id"), static_cast<std::uint64_t>(std::max<std::int64_t>(0, int_or(object, "length")))};
  if (!is_layer_id(layer.id)) return wrong("layers.id", "must be 64 lower-case hex digits");
  return layer;
}

Result<JobPort> parse_port(const json::object& object) {
  JobPort port;
  const auto number = int_or(object, "port");
  if (number < 1 || number > 65535) return wrong("ports.port", "must be 1 to 65535");
  port.port = static_cast<std::uint16_t>(number);
  const auto* service = find_object(object, "service");
  if (service == nullptr) return port;
  port.service = string_or(*service, "name");
  if (!is_service_name(port.service)) return wrong("ports.service.name", "is not a service name");
  const auto* check = find_object(*service, "check");
  if (check == nullptr) return port;
  ServiceCheck parsed;
  const auto type = string_or(*check, "type", "tcp");
  if (type != "tcp" && type != "http") return wrong("ports.service.check.type", "must be tcp or http");
  parsed.type = type == "http" ? CheckType::http : CheckType::tcp;
  parsed.path = string_or(*check, "path", "/");
  if (parsed.path.empty() || parsed.path.front() != '/' ||
      std::any_of(parsed.path.begin(), parsed.path.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= 0x20; })) {
    return wrong("ports.service.check.path", "must begin with / and have no spaces or control characters");
  }
  parsed.interval = duration(*check, "interval_ms", 2000, 50);
  parsed.threshold = bounded<int>(*check, "threshold", 2, 1, 100);
  parsed.start_timeout = duration(*check, "start_timeout_ms", 60000, 100);
  port.check = parsed;
  return port;
}

Result<JobMount> parse_mount(const json::object& object) {
  JobMount mount{string_or(object, "source"), string_or(object, "target"), bool_or(object, "writeable")};
  if (!is_safe_absolute_path(mount.source)) return wrong("mounts.source", "must be a plain absolute path");
  if (!is_safe_absolute_path(mount.target)) return wrong("mounts.target", "must be a plain absolute path");
  return mount;
}

Result<JobVolume> parse_volume(const json::object& object) {
  JobVolume volume{string_or(object, "name"), string_or(object, "path"), bool_or(object, "delete_on_stop")};
  if (!is_safe_name(volume.name)) return wrong("volumes.name", "may have letters, digits, dot, dash and underscore");
  if (!is_safe_absolute_path(volume.path)) return wrong("volumes.path", "must be a plain absolute path");
  return volume;
}

Result<void> parse_command(const json::object& document, JobSpec& spec) {
  spec.args = strings_or_empty(document, "args");
  if (spec.args.empty() || spec.args.front().empty()) return wrong("args", "must name a program");
  if (spec.args.size() > kArgsMax) return wrong("args", "has too many entries");
  if (std::any_of(spec.args.begin(), spec.args.end(), has_nul)) return wrong("args", "must not contain NUL");
  if (const auto* env = find_object(document, "env")) {
    if (env->size() > kEnvMax) return wrong("env", "has too many entries");
    for (const auto& [name, value] : *env) {
      if (!value.is_string()) return wrong("env." + std::string(name), "must be a string");
      if (name.empty() || name.find('=') != json::string_view::npos || has_nul({name.data(), name.size()}) ||
          has_nul({value.get_string().data(), value.get_string().size()})) {
        return wrong("env", "has a name with = or a NUL");
      }
      spec.env.emplace(std::string(name), std::string(value.get_string().c_str()));
    }
  }
  spec.cwd = string_or(document, "cwd", "/");
  if (spec.cwd.empty()) spec.cwd = "/";
  if (spec.cwd != "/" && !is_safe_absolute_path(spec.cwd)) return wrong("cwd", "must be a plain absolute path");
  constexpr std::int64_t kIdMax = std::numeric_limits<std::int32_t>::max();
  spec.uid = bounded<std::uint32_t>(document, "uid", 5000, 0, kIdMax);
  spec.gid = bounded<std::uint32_t>(document, "gid", 5000, 0, kIdMax);
  return {};
}

void parse_terminal(const json::object& document, JobSpec& spec) {
  spec.tty = bool_or(document, "tty");
  spec.attach = bool_or(document, "attach");
  spec.use_stdin = bool_or(document, "stdin");
  spec.log = bool_or(document, "log", true);
  spec.columns = bounded<std::uint16_t>(document, "columns", 80, 0, 10000);
  spec.lines = bounded<std::uint16_t>(document, "lines", 24, 0, 10000);
}

void parse_resources(const json::object& document, JobSpec& spec) {
  const auto* resources = find_object(document, "resources");
  if (resources == nullptr) return;
  constexpr std::int64_t kIntMax = std::numeric_limits<std::int32_t>::max();
  spec.resources.memory_bytes =
      bounded<std::uint64_t>(*resources, "memory_bytes", 0, 0, std::numeric_limits<std::int64_t>::max());
  spec.resources.cpu_millis = bounded<std::uint32_t>(*resources, "cpu_millis", 0, 0, kIntMax / 1024);
  spec.resources.pids_max = bounded<std::uint32_t>(*resources, "pids_max", 0, 0, kIntMax);
  spec.resources.max_fd = bounded<std::uint64_t>(*resources, "max_fd", 0, 0, kIntMax);
}

}  // namespace

Result<JobSpec> parse_job_spec(const json::object& document) {
  JobSpec spec;
  spec.id = string_or(document, "id");
  if (!is_safe_name(spec.id)) return wrong("id", "may have letters, digits, dot, dash and underscore, at most 64");
  spec.app_id = string_or(document, "app_id");
  if (!is_safe_name(spec.app_id)) return wrong("app_id", "may have letters, digits, dot, dash and underscore");
  spec.host_id = string_or(document, "host_id");
  spec.app_name = string_or(document, "app_name");
  spec.release_id = string_or(document, "release_id");
  spec.type = string_or(document, "type");
  spec.kind = string_or(document, "kind", "service");
  spec.created_at = string_or(document, "created_at");
  if (const auto* meta = find_object(document, "meta")) spec.meta = *meta;
  if (auto command = parse_command(document, spec); !command) return command.error();
  parse_terminal(document, spec);
  parse_resources(document, spec);
  spec.stop_timeout = duration(document, "stop_timeout_ms", 10000, 0);
  spec.timeout = duration(document, "timeout_ms", 0, 0);

  auto layers = parse_list<Layer>(document, "layers", kLayersMax, parse_layer);
  if (!layers) return layers.error();
  if (layers->empty()) return wrong("layers", "must name at least one layer");
  spec.layers = *std::move(layers);
  auto ports = parse_list<JobPort>(document, "ports", kListMax, parse_port);
  if (!ports) return ports.error();
  spec.ports = *std::move(ports);
  auto mounts = parse_list<JobMount>(document, "mounts", kListMax, parse_mount);
  if (!mounts) return mounts.error();
  spec.mounts = *std::move(mounts);
  auto volumes = parse_list<JobVolume>(document, "volumes", kListMax, parse_volume);
  if (!volumes) return volumes.error();
  spec.volumes = *std::move(volumes);
  return spec;
}

}  // namespace flynn::host
