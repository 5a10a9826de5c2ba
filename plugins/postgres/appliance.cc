#include "appliance.h"

#include <charconv>

#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"

namespace flynn::postgres {
namespace {

constexpr std::string_view kApp = "/apps/postgres";
constexpr std::string_view kService = "postgres";

std::string layers_name(const json::array& layers) {
  std::string name;
  for (const auto& layer : layers)
    if (const auto* object = layer.if_object())
      name += (name.empty() ? "" : "+") + string_or(*object, "id").substr(0, 16);
  return name;
}

json::object server_process(const ApplianceOptions& options) {
  const json::object memory{{"request", options.memory_bytes}, {"limit", options.memory_bytes}};
  const json::object check{{"type", "tcp"}};
  return {{"args", json::array{"/bin/bash", "-c", start_script(options.max_connections)}},
          {"ports", json::array{json::object{
                        {"port", kPort},
                        {"proto", "tcp"},
                        {"service", json::object{{"name", kService}, {"create", true}, {"check", check}}}}}},
          {"volumes", json::array{json::object{{"path", "/data"}, {"delete_on_stop", false}}}},
          {"resources", json::object{{"memory", memory}}}};
}

}  // namespace

std::string start_script(int max_connections) {
  // The lock is inherited by the server, so that two jobs never run on one volume; it makes a leftover pid file safe to
  // remove. SIGTERM would wait for clients to leave; SIGINT is PostgreSQL's fast shutdown.
  return R"(set -eu
umask 077
exec 9>/data/lock
flock -w 30 9 || { echo "another server still runs on this volume" >&2; exit 1; }
data=/data/pg15
if [ ! -s "$data/PG_VERSION" ]; then
  rm -rf "$data.new"
  printf '%s' "$PGPASSWORD" > /tmp/password
  initdb -D "$data.new" -U postgres --auth=scram-sha-256 --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8
  rm -f /tmp/password
  echo 'host all all all scram-sha-256' >> "$data.new/pg_hba.conf"
  mv "$data.new" "$data"
fi
unset PGPASSWORD
rm -f "$data/postmaster.pid"
postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections=)" +
         std::to_string(max_connections) + R"( &
server=$!
trap 'kill -INT $server' TERM INT
wait $server && exit 0 || status=$?
wait $server 2>/dev/null && exit 0 || exit $status
)";
}

Result<void> Appliance::register_provider(Deadline deadline) {
  auto made = controller_.post("/providers", {{"name", options_.provider_name}, {"url", "flynn.database/1"}}, deadline);
  if (!made && made.error().code != Code::already_exists) return made.error();
  return {};
}

Result<void> Appliance::ensure_app(Deadline deadline) {
  auto app = controller_.get(kApp, deadline);
  if (app) return {};
  if (app.error().code != Code::not_found) return app.error();
  // One server at a time on the volume: the old one stops before the new one starts.
  auto made = controller_.post(
      "/apps",
      {{"name", kService}, {"meta", json::object{{"flynn-system-app", "true"}}}, {"strategy", "one-down-one-up"}},
      deadline);
  if (!made && made.error().code != Code::already_exists) return made.error();
  return {};
}

Result<json::object> Appliance::make_artifact(Deadline deadline) {
  auto reply = door_.call("flynn.store/1", "Get", {{"key", "cluster/config"}}, deadline, {});
  if (!reply) return reply.error();
  const auto* kv = find_object(reply->body, "kv");
  const auto* config = kv == nullptr ? nullptr : find_object(*kv, "value");
  const auto* stacks = config == nullptr ? nullptr : find_object(*config, "stacks");
  const auto* layers = stacks == nullptr ? nullptr : find_array(*stacks, "postgres");
  if (layers == nullptr || layers->empty())
    return Error{Code::failed_precondition,
                 "the cluster has no postgres stack (store key cluster/config, member stacks.postgres): build the "
                 "stacks and bootstrap again"};
  const json::object platform{{"architecture", "amd64"}, {"os", "linux"}};
  const json::object manifest{
      {"_type", "application/vnd.flynn.image.manifest.v1+json"},
      {"entrypoints", json::object{{"_default", json::object{{"cwd", "/"}, {"uid", 5000}, {"gid", 5000}}}}},
      {"rootfs", json::array{json::object{{"platform", platform}, {"layers", *layers}}}}};
  return controller_.post(
      "/artifacts",
      {{"type", "flynn"}, {"uri", "flynn-stack://postgres/" + layers_name(*layers)}, {"manifest", manifest}}, deadline);
}

Result<json::object> Appliance::make_release(Deadline deadline) {
  auto artifact = make_artifact(deadline);
  if (!artifact) return artifact.error().context("make the artifact of PostgreSQL");
  auto app = controller_.get(kApp, deadline);
  if (!app) return app.error();
  auto release = controller_.post("/releases",
                                  {{"app_id", string_or(*app, "id")},
                                   {"artifacts", json::array{string_or(*artifact, "id")}},
                                   {"env", json::object{{"PGPASSWORD", random_hex(24)}}},
                                   {"processes", json::object{{kService, server_process(options_)}}}},
                                  deadline);
  if (!release) return release.error().context("make the release of PostgreSQL");
  auto set = controller_.request("PUT", std::string(kApp) + "/release", json::object{{"id", string_or(*release, "id")}},
                                 deadline);
  if (!set) return set.error();
  return release;
}

Result<json::object> Appliance::ensure_release(Deadline deadline) {
  if (auto app = ensure_app(deadline); !app) return app.error().context("make the app postgres");
  auto release = controller_.get(std::string(kApp) + "/release", deadline);
  if (release || release.error().code != Code::not_found) return release;
  return make_release(deadline);
}

Result<void> Appliance::ensure_formation(const json::object& release, Deadline deadline) {
  const std::string path = std::string(kApp) + "/formations/" + string_or(release, "id");
  auto formation = controller_.get(path, deadline);
  if (formation) {
    const auto* processes = find_object(*formation, "processes");
    if (processes != nullptr && int_or(*processes, kService) > 0) return {};
  } else if (formation.error().code != Code::not_found) {
    return formation.error();
  }
  auto set = controller_.put(path, {{"processes", json::object{{kService, 1}}}}, deadline);
  if (!set) return set.error().context("scale postgres to 1");
  return {};
}

// The address of the leader, from the watch: its first lines are what is there, then what comes.
Result<std::string> Appliance::wait_for_instance(Deadline deadline) {
  while (!deadline.passed()) {
    auto watch = door_.call("flynn.discovery/1", "Watch", {{"service", kService}}, deadline, {});
    if (!watch) return watch.error();
    if (watch->fds.empty()) return Error{Code::internal, "flynn.discovery/1 Watch answered without a stream"};
    LineReader lines(std::move(watch->fds.front()));
    while (true) {
      auto status = lines.next(deadline);
      if (!status) return status.error();
      if (*status != LineReader::Status::line) break;
      auto line = parse_json_object(lines.text());
      if (!line) return line.error();
      const auto kind = string_or(*line, "kind");
      const auto* instance = find_object(*line, "instance");
      if (instance != nullptr && (kind == "up" || kind == "update")) return string_or(*instance, "addr");
    }
  }
  return Error{Code::unavailable,
               "PostgreSQL did not become healthy in time; look at: flynn -a postgres ps, flynn -a postgres log"};
}

Result<ServerAddress> Appliance::address_with_password(const std::string& addr, const json::object& release) {
  const auto colon = addr.rfind(':');
  ServerAddress server;
  server.host = addr.substr(0, colon);
  if (colon == std::string::npos ||
      std::from_chars(addr.data() + colon + 1, addr.data() + addr.size(), server.port).ec != std::errc{})
    return Error{Code::internal, "discovery names PostgreSQL's address as \"" + addr + "\""};
  const auto* env = find_object(release, "env");
  server.password = env == nullptr ? "" : string_or(*env, "PGPASSWORD");
  return server;
}

Result<ServerAddress> Appliance::ensure_server(Deadline deadline) {
  const std::lock_guard lock(setting_up_);
  auto release = ensure_release(deadline);
  if (!release) return release.error();
  if (auto formation = ensure_formation(*release, deadline); !formation) return formation.error();
  auto addr = wait_for_instance(deadline);
  if (!addr) return addr.error();
  return address_with_password(*addr, *release);
}

Result<ServerAddress> Appliance::find_server(Deadline deadline) {
  auto release = controller_.get(std::string(kApp) + "/release", deadline);
  if (!release)
    return Error{Code::unavailable,
                 "no PostgreSQL has been started: the first `flynn resource add postgres` starts one"};
  auto reply = door_.call("flynn.discovery/1", "Instances", {{"service", kService}}, deadline, {});
  if (!reply) return reply.error();
  const auto* instances = find_array(reply->body, "instances");
  if (instances == nullptr || instances->empty() || !instances->front().is_object())
    return Error{Code::unavailable, "PostgreSQL is not up; look at: flynn -a postgres ps, flynn -a postgres log"};
  return address_with_password(string_or(instances->front().as_object(), "addr"), *release);
}

}  // namespace flynn::postgres
