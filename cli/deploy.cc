#include "deploy.h"

#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <sstream>

#include "documents.h"
#include "events.h"
#include "names.h"
#include "progress_line.h"
#include "release_diff.h"

namespace flynn::cli {
namespace {

// On top of the app's own timeout: the controller reports the failure itself, and rolls back first.
constexpr std::chrono::seconds kDeployGrace{90};
constexpr std::int64_t kDeployTimeoutDefault = 120;
// What failed, why and what to do fit into ten lines with these.
constexpr int kLastWordsMax = 5;
constexpr std::size_t kWordsColumnsMax = 200;

Status wait_for_deployment(EventStream& events, const json::object& deployment) {
  const std::string id = text_of(deployment, "id");
  const auto timeout =
      std::chrono::seconds(number_of(deployment, "deploy_timeout", kDeployTimeoutDefault)) + kDeployGrace;
  const Deadline deadline = deadline_after(timeout);
  const std::string release = text_of(deployment, "new_release");
  std::int64_t up = 0;
  ProgressLine progress;
  progress.show("deploying release " + release);
  for (;;) {
    const auto event = events.next(deadline);
    if (!event) {
      return event.error()
          .context("wait for deployment " + id)
          .advise("'flynn deployment' shows how it stands, 'flynn log' why.");
    }
    const json::object& data = object_of(*event, "data");
    if (text_of(*event, "object_type") == "job") {
      const std::string state = text_of(data, "state");
      if (text_of(data, "release") == release && state == "up") ++up;
      progress.show("deploying release " + release + ": " + std::to_string(up) + " jobs up; " + text_of(data, "type") +
                    " is " + state);
      continue;
    }
    if (text_of(*event, "object_type") != "deployment") continue;
    if (text_of(*event, "object_id") != id && text_of(data, "deployment") != id) continue;
    const std::string status = text_of(data, "status");
    if (status == "complete") return Done{};
    if (status == "failed") {
      return failure("deployment " + id + " failed: " + text_of(data, "error"),
                     "The previous release stays in force. 'flynn log' shows what the new one printed.")
          .as(ErrorCode::kDeploymentFailed);
    }
  }
}

}  // namespace

Error app_not_found(const std::string& app, const Error& error) {
  if (error.kind != Failure::kNotFound) return error;
  return Error{"app \"" + app + "\" not found", "'flynn apps' lists the apps of this cluster.", Failure::kNotFound}.as(
      ErrorCode::kAppNotFound);
}

Result<json::object> current_release(ControllerClient& client, const std::string& app) {
  const auto release = client.get("/apps/" + percent_encode(app) + "/release");
  if (release) return as_object(*release);
  if (release.error().kind != Failure::kNotFound) return release.error();
  // Without a release or without the app? The controller answers both the same way.
  if (const auto known = client.get("/apps/" + percent_encode(app)); !known) {
    return app_not_found(app, known.error());
  }
  return json::object();
}

Result<json::object> require_release(ControllerClient& client, const std::string& app) {
  auto release = current_release(client, app);
  if (release && release->empty())
    return failure("app \"" + app + "\" has no release", "Push it first: git push flynn master")
        .as(ErrorCode::kNoRelease);
  return release;
}

Status deploy(ControllerClient& client, const std::string& app, const std::string& release) {
  auto events = EventStream::open(client, "app_id=" + percent_encode(app) + "&object_types=deployment,job");
  if (!events) return events.error();
  const auto deployment = client.post("/apps/" + percent_encode(app) + "/deploy", json::object{{"id", release}});
  if (!deployment) return deployment.error().context("deploy release " + release);
  const json::object& object = as_object(*deployment);
  if (!text_of(object, "finished_at").empty()) return Done{};
  auto done = wait_for_deployment(*events, object);
  if (!done) return done.error().saying(last_words(client, app, release));
  return done;
}

namespace {

/// The user of this machine: what the list of releases shows as their maker.
std::string user_at_host() {
  std::array<char, HOST_NAME_MAX + 1> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  const passwd* user = getpwuid(getuid());
  return std::string(user != nullptr ? user->pw_name : std::to_string(getuid()).c_str()) + "@" + host.data();
}

/// The job whose words explain a failure: see last_words. Empty when there is none.
std::string telling_job(ControllerClient& client, const std::string& app, const std::string& release) {
  const auto jobs = client.get("/apps/" + percent_encode(app) + "/jobs");
  if (!jobs) return "";
  std::string newest;
  for (const json::value& value : as_array(*jobs)) {
    const json::object& job = as_object(value);
    if (text_of(job, "release") != release || text_of(job, "type").empty()) continue;
    const bool failed = number_of(job, "exit_status") != 0 || !text_of(job, "host_error").empty();
    if (text_of(job, "state") == "down" && failed) return text_of(job, "id");
    if (newest.empty()) newest = text_of(job, "id");
  }
  return newest;
}

}  // namespace

std::vector<std::string> last_words(ControllerClient& client, const std::string& app, const std::string& release) {
  std::vector<std::string> words;
  const std::string job = telling_job(client, app, release);
  if (job.empty()) return words;
  const auto lines = client.get_text("/apps/" + percent_encode(app) + "/log?stream_types=stdout,stderr,init&job_id=" +
                                     percent_encode(job) + "&lines=" + std::to_string(kLastWordsMax));
  if (!lines) return words;  // the failure itself is worth more than why its words are missing
  std::istringstream text(*lines);
  for (std::string line; std::getline(text, line);) {
    const auto document = parse_json("log", line);
    if (!document) continue;
    const std::string message = text_of(as_object(*document), "msg");
    if (!message.empty()) words.push_back(message.substr(0, kWordsColumnsMax));
  }
  return words;
}

Status begin_release(Session& session, const std::string& app, const json::object& current,
                     std::vector<std::string> steps, const std::string& undo_first) {
  Change change{std::move(steps), undo_first, "the app had no release before"};
  if (const std::string id = text_of(current, "id"); !id.empty())
    change.undo = "flynn -a " + app + " rollback -y " + id;
  return session.begin(std::move(change));
}

Result<std::string> release_and_deploy(ControllerClient& client, const std::string& app, json::object release) {
  for (const char* own : {"id", "created_at", "app", "artifact"}) release.erase(own);
  const auto owner = client.get("/apps/" + percent_encode(app));
  if (!owner) return owner.error();
  release["app_id"] = text_of(as_object(*owner), "id");
  json::value& meta = release["meta"];
  if (!meta.is_object()) meta = json::object();
  meta.get_object()[kMadeBy] = user_at_host();
  const auto created = client.post("/releases", release);
  if (!created) return created.error().context("create the release");
  const std::string id = text_of(as_object(*created), "id");
  if (auto deployed = deploy(client, app, id); !deployed) return deployed.error();
  return id;
}

}  // namespace flynn::cli
