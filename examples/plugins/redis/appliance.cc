#include "appliance.h"

#include <flynn/sdk/stream.h>
#include <flynn/sdk/uuid.h>

#include "controller_api.h"

namespace redis_appliance {
namespace {

using namespace flynn;
constexpr std::string_view kPrefix = "redis-";
constexpr std::size_t kIdDigits = 12;
constexpr int kPort = 6379;

// The password is in the environment, not in an argument that every process may read; the configuration is Redis's
// standard input.
std::string start_script(std::int64_t memory_bytes) {
  return R"(set -eu
umask 077
exec redis-server - <<CONF
port 6379
bind 0.0.0.0
protected-mode no
requirepass $REDIS_PASSWORD
dir /data
appendonly yes
maxmemory )" +
         std::to_string(memory_bytes / 4 * 3) + "\nCONF\n";
}

}  // namespace

bool is_id(const std::string& id) {
  return id.size() == kPrefix.size() + kIdDigits && id.starts_with(kPrefix) &&
         id.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string::npos;
}

Result<json::value> Appliance::ask(std::string_view method, const std::string& path, const json::value& body,
                                   Deadline deadline) {
  return ask_controller(door_, method, path, body, deadline);
}

Result<void> Appliance::register_provider(Deadline deadline) {
  const json::object provider{{"name", options_.provider_name}, {"url", "flynn.database/1@" + options_.slot}};
  auto made = ask("POST", "/providers", provider, deadline);
  if (!made && made.error().code != Code::already_exists) return made.error();
  return {};
}

Result<std::string> Appliance::make_artifact(Deadline deadline) {
  auto reply = door_.call("flynn.store/1", "Get", {{"key", "cluster/config"}}, deadline, {});
  if (!reply) return reply.error();
  const auto* kv = find_object(reply->body, "kv");
  const auto* config = kv == nullptr ? nullptr : find_object(*kv, "value");
  const auto* stacks = config == nullptr ? nullptr : find_object(*config, "stacks");
  const auto* layers = stacks == nullptr ? nullptr : find_array(*stacks, "redis");
  if (layers == nullptr || layers->empty())
    return Error{Code::failed_precondition,
                 "the cluster has no redis stack (cluster/config, member stacks.redis): build the stacks and start the "
                 "node again"};
  const json::object platform{{"architecture", "amd64"}, {"os", "linux"}};
  const json::object manifest{
      {"_type", "application/vnd.flynn.image.manifest.v1+json"},
      {"entrypoints", json::object{{"_default", json::object{{"cwd", "/"}, {"uid", 5000}, {"gid", 5000}}}}},
      {"rootfs", json::array{json::object{{"platform", platform}, {"layers", *layers}}}}};
  std::string name;
  for (const auto& layer : *layers) name += string_or(layer.as_object(), "id").substr(0, 16);
  auto made =
      ask("POST", "/artifacts",
          json::object{{"type", "flynn"}, {"uri", "flynn-stack://redis/" + name}, {"manifest", manifest}}, deadline);
  if (!made) return made.error();
  return string_or(made->as_object(), "id");
}

Result<void> Appliance::run(const std::string& id, const std::string& password, Deadline deadline) {
  auto artifact = make_artifact(deadline);
  if (!artifact) return artifact.error();
  auto app = ask(
      "POST", "/apps",
      json::object{{"name", id}, {"meta", json::object{{"flynn-system-app", "true"}}}, {"strategy", "one-down-one-up"}},
      deadline);
  if (!app) return app.error();
  const json::object memory{{"request", options_.memory_bytes}, {"limit", options_.memory_bytes}};
  const json::object port{
      {"port", kPort},
      {"proto", "tcp"},
      {"service", json::object{{"name", id}, {"create", true}, {"check", json::object{{"type", "tcp"}}}}}};
  const json::object process{{"args", json::array{"/bin/bash", "-c", start_script(options_.memory_bytes)}},
                             {"ports", json::array{port}},
                             {"volumes", json::array{json::object{{"path", "/data"}, {"delete_on_stop", false}}}},
                             {"resources", json::object{{"memory", memory}}}};
  auto release = ask("POST", "/releases",
                     json::object{{"app_id", string_or(app->as_object(), "id")},
                                  {"artifacts", json::array{*artifact}},
                                  {"env", json::object{{"REDIS_PASSWORD", password}}},
                                  {"processes", json::object{{"redis", process}}}},
                     deadline);
  if (!release) return release.error();
  const auto release_id = string_or(release->as_object(), "id");
  auto set = ask("PUT", "/apps/" + id + "/release", json::object{{"id", release_id}}, deadline);
  if (!set) return set.error();
  auto scaled = ask("PUT", "/apps/" + id + "/formations/" + release_id,
                    json::object{{"processes", json::object{{"redis", 1}}}}, deadline);
  if (!scaled) return scaled.error();
  return {};
}

// From the watch: its first lines are what is there, then what comes.
Result<void> Appliance::wait_until_up(const std::string& id, Deadline deadline) {
  while (!deadline.passed()) {
    auto watch = door_.call("flynn.discovery/1", "Watch", {{"service", id}}, deadline, {});
    if (!watch) return watch.error();
    if (watch->fds.empty()) return Error{Code::internal, "flynn.discovery/1 Watch answered without a stream"};
    LineReader lines(std::move(watch->fds.front()));
    while (true) {
      auto status = lines.next(deadline);
      if (!status) return status.error();
      if (*status != LineReader::Status::line) break;
      auto line = parse_json_object(lines.text());
      if (!line) return line.error();
      if (string_or(*line, "kind") == "up") return {};
    }
  }
  return Error{Code::unavailable, "Redis did not become healthy in time; look at: flynn -a " + id + " log"};
}

Result<Appliance::Server> Appliance::provision(Deadline deadline) {
  const auto id = std::string(kPrefix) + random_hex(kIdDigits / 2), password = random_hex(24);
  auto up = run(id, password, deadline);
  if (up) up = wait_until_up(id, deadline);
  if (!up) {
    (void)ask("DELETE", "/apps/" + id, nullptr, Deadline::after(std::chrono::seconds(10)));
    return up.error().context("start a Redis for the resource");
  }
  const auto host = "leader." + id + ".discoverd", port = std::to_string(kPort);
  return Server{id,
                {{"FLYNN_REDIS", id},
                 {"REDIS_HOST", host},
                 {"REDIS_PORT", port},
                 {"REDIS_PASSWORD", password},
                 {"REDIS_URL", "redis://:" + password + "@" + host + ":" + port}}};
}

Result<void> Appliance::deprovision(const std::string& id, Deadline deadline) {
  if (!is_id(id)) return Error{Code::invalid_argument, "member \"id\" is none that this appliance gives"};
  auto gone = ask("DELETE", "/apps/" + id, nullptr, deadline);
  if (!gone) return gone.error();
  return {};
}

Result<std::int64_t> Appliance::count(Deadline deadline) {
  auto apps = ask("GET", "/apps", nullptr, deadline);
  if (!apps) return apps.error();
  std::int64_t servers = 0;
  if (const auto* list = apps->if_array())
    for (const auto& app : *list) servers += app.is_object() && is_id(string_or(app.get_object(), "name")) ? 1 : 0;
  return servers;
}

}  // namespace redis_appliance
