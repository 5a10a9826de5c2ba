#include "release_maker.h"

#include <algorithm>

namespace flynn::builder {
namespace {

constexpr int kPollMs = 200;
constexpr int kLogLines = 15;
constexpr std::int64_t kCheckIntervalNs = 1'000'000'000;

json::object image_manifest(const json::array& layers) {
  json::array described;
  for (const json::value& layer : layers) {
    if (!layer.is_object()) continue;
    std::string id = string_or(layer.get_object(), "id");
    described.push_back({{"id", id},
                         {"type", "application/vnd.flynn.image.squashfs.v1"},
                         {"length", int_or(layer.get_object(), "length")},
                         {"hashes", {{"sha512_256", id}}}});
  }
  return {{"_type", "application/vnd.flynn.image.manifest.v1+json"},
          {"meta", json::object{}},
          {"entrypoints", {{"_default", {{"env", {{"HOME", "/app"}}}, {"cwd", "/app"}, {"uid", 5000}, {"gid", 5000}}}}},
          {"rootfs", {{{"platform", {{"architecture", "amd64"}, {"os", "linux"}}}, {"layers", std::move(described)}}}}};
}

bool is_web(std::string_view type) { return type == "web" || type.ends_with("-web"); }

json::array web_ports(const std::string& app_name, const std::string& type) {
  std::string service = app_name + "-" + type;
  std::transform(service.begin(), service.end(), service.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return {{{"port", 8080},
           {"proto", "tcp"},
           {"service",
            {{"name", service}, {"create", true}, {"check", {{"type", "tcp"}, {"interval", kCheckIntervalNs}}}}}}};
}

}  // namespace

json::object release_processes(const std::string& app_name, const std::vector<std::string>& types,
                               const json::object& previous) {
  const json::object* known = find_object(previous, "processes");
  json::object processes;
  for (const std::string& type : types) {
    const json::object* before = known != nullptr ? find_object(*known, type) : nullptr;
    json::object process = before != nullptr ? *before : json::object{};
    process["args"] = json::array{"/runner/init", "start", type};
    const json::array* ports = find_array(process, "ports");
    if (is_web(type) && string_or(process, "service").empty() && (ports == nullptr || ports->empty())) {
      process["ports"] = web_ports(app_name, type);
    }
    processes[type] = std::move(process);
  }
  return processes;
}

Result<std::string> ReleaseMaker::artifact(const std::string& uri, const json::array& layers, json::object meta) {
  auto made = api_.post(
      "/artifacts", {{"type", "flynn"}, {"uri", uri}, {"manifest", image_manifest(layers)}, {"meta", std::move(meta)}});
  if (!made) return made.error();
  return require_string(*made, "id");
}

Result<MadeRelease> ReleaseMaker::create(const NewRelease& wanted) {
  // The same layers are the same artifact: the controller finds it again by its uri.
  std::string run_uri = "blobstore:/stacks/run";
  for (const json::value& layer : wanted.run_layers) {
    if (layer.is_object()) run_uri += "/" + string_or(layer.get_object(), "id").substr(0, 16);
  }
  auto run = artifact(run_uri, wanted.run_layers, {{"blobstore", "true"}});
  if (!run) return run.error().context("artifact of the run stack");
  std::string types;
  for (const std::string& type : wanted.process_types) types += (types.empty() ? "" : ",") + type;
  json::array slug_layers{{{"id", wanted.slug.id}, {"length", wanted.slug.length}}};
  auto slug = artifact("blobstore:/layers/" + wanted.slug.id + ".squashfs", slug_layers,
                       {{"blobstore", "true"}, {"slugbuilder.process_types", types}});
  if (!slug) return slug.error().context("artifact of the slug");
  const json::object* before = find_object(wanted.previous, "meta");
  json::object meta = before != nullptr ? *before : json::object{};
  meta["git"] = "true";
  meta["git.commit"] = wanted.rev;
  if (!wanted.branch.empty()) meta["git.branch"] = wanted.branch;
  meta["slugrunner.stack"] = "flynn-12";
  auto release = api_.post("/releases",
                           {{"app_id", wanted.app_id},
                            {"artifacts", {*run, *slug}},
                            {"env", wanted.env},
                            {"meta", std::move(meta)},
                            {"processes", release_processes(wanted.app_name, wanted.process_types, wanted.previous)}});
  if (!release) return release.error().context("create the release");
  auto id = require_string(*release, "id");
  if (!id) return id.error();
  return MadeRelease{*id, *slug};
}

Result<json::array> ReleaseMaker::watch_jobs(const std::string& app_id, const std::string& release_id) {
  auto jobs = api_.controller("GET", "/apps/" + app_id + "/jobs");
  if (!jobs) return jobs.error();
  json::array ours;
  if (!jobs->is_array()) return ours;
  for (const json::value& job : jobs->get_array()) {
    if (!job.is_object() || string_or(job.get_object(), "release") != release_id) continue;
    ours.push_back(job);
    std::string id = string_or(job.get_object(), "uuid", string_or(job.get_object(), "id"));
    std::string state = string_or(job.get_object(), "state");
    if (std::exchange(shown_states_[id], state) == state) continue;
    line_("       " + string_or(job.get_object(), "type") + " " + id.substr(0, 8) + " " + state);
  }
  return ours;
}

std::string ReleaseMaker::explain_failure(const std::string& app_id, const std::string& release_id) {
  auto jobs = watch_jobs(app_id, release_id);
  if (!jobs) return {};
  for (const json::value& job : *jobs) {
    const json::object& about = job.get_object();
    if (string_or(about, "state") != "down") continue;
    std::string id = string_or(about, "uuid", string_or(about, "id"));
    auto lines = api_.last_lines(app_id, id, kLogLines);
    if (!lines.empty()) line_("       The last lines of " + string_or(about, "type") + " " + id.substr(0, 8) + ":");
    for (const std::string& text : lines) line_("         " + text);
    std::string reason = string_or(about, "host_error");
    if (reason.empty()) reason = "exit status " + std::to_string(int_or(about, "exit_status"));
    return string_or(about, "type") + " job " + id.substr(0, 8) + " ended: " + reason;
  }
  return {};
}

Result<void> ReleaseMaker::wait_for_deployment(const std::string& app_id, const std::string& release_id,
                                               json::object deployment) {
  std::string path = "/deployments/" + string_or(deployment, "id");
  for (Deadline deadline = Deadline::after(config_.deploy_timeout);;) {
    std::string status = string_or(deployment, "status");
    if (status == "failed") {
      std::string why = explain_failure(app_id, release_id);
      return Error{Code::failed_precondition,
                   "Error deploying app release: " + (why.empty() ? "the deployment failed" : why)};
    }
    if (status == "complete" || !string_or(deployment, "finished_at").empty()) return {};
    if (deadline.passed())
      return Error{Code::deadline_exceeded,
                   "Error deploying app release: not finished in time; see `flynn ps` and `flynn log`"};
    if (cancel_.wait(kPollMs)) return Error{Code::cancelled, "the client has gone; the deployment goes on"};
    (void)watch_jobs(app_id, release_id);
    auto now = api_.find(path);
    if (now && *now)
      deployment = std::move(**now);
    else if (!now && now.error().code != Code::unavailable)
      return now.error();
  }
}

Result<void> ReleaseMaker::start_first_web(const std::string& app_id, const std::string& release_id) {
  line_("=====> Scaling initial release to web=1");
  line_("-----> Waiting for initial web job to start...");
  auto scaled = api_.controller(
      "PUT", "/apps/" + app_id + "/scale/" + release_id,
      json::object{{"app", app_id}, {"release", release_id}, {"state", "pending"}, {"new_processes", {{"web", 1}}}});
  if (!scaled) return scaled.error().context("scale to web=1");
  auto give_up = [&](Code code, const std::string& why) -> Result<void> {
    (void)api_.controller("DELETE", "/apps/" + app_id + "/formations/" + release_id);
    return Error{code, "Initial web job failed to start" + (why.empty() ? "" : ": " + why)};
  };
  for (Deadline deadline = Deadline::after(config_.deploy_timeout);;) {
    auto jobs = watch_jobs(app_id, release_id);
    if (!jobs && jobs.error().code != Code::unavailable) return jobs.error();
    for (const json::value& job : jobs ? *jobs : json::array{}) {
      if (string_or(job.get_object(), "type") != "web") continue;
      std::string state = string_or(job.get_object(), "state");
      if (state == "up") return line_("=====> Initial web job started"), Result<void>();
      if (state == "down") return give_up(Code::failed_precondition, explain_failure(app_id, release_id));
    }
    if (deadline.passed()) return give_up(Code::deadline_exceeded, "it is not up in time; it must listen on $PORT");
    if (cancel_.wait(kPollMs)) return Error{Code::cancelled, "the client has gone; the first web job goes on"};
  }
}

Result<void> ReleaseMaker::deploy(const NewRelease& wanted, const std::string& release_id) {
  bool first = wanted.previous.empty();
  if (!first) {
    auto formation = api_.find("/apps/" + wanted.app_id + "/formations/" + string_or(wanted.previous, "id"));
    if (!formation) return formation.error();
    first = !*formation;
  }
  auto deployment = api_.post("/apps/" + wanted.app_id + "/deploy", {{"id", release_id}});
  if (!deployment) return deployment.error().context("Error deploying app release");
  if (auto done = wait_for_deployment(wanted.app_id, release_id, std::move(*deployment)); !done) return done;
  bool has_web =
      std::find(wanted.process_types.begin(), wanted.process_types.end(), "web") != wanted.process_types.end();
  return first && has_web ? start_first_web(wanted.app_id, release_id) : Result<void>();
}

std::vector<std::string> ReleaseMaker::urls(const std::string& app_id) {
  std::vector<std::string> found;
  auto routes = api_.controller("GET", "/apps/" + app_id + "/routes");
  if (!routes || !routes->is_array()) return found;
  for (const json::value& route : routes->get_array()) {
    if (!route.is_object() || string_or(route.get_object(), "type") != "http") continue;
    const json::object& about = route.get_object();
    bool secure = find_object(about, "certificate") != nullptr;
    std::string path = string_or(about, "path");
    found.push_back((secure ? "https://" : "http://") + string_or(about, "domain") + (path == "/" ? "" : path));
  }
  return found;
}

}  // namespace flynn::builder
