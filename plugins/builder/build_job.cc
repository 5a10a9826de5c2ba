#include "build_job.h"

#include "flynn/sdk/store.h"

namespace flynn::builder {
namespace {

constexpr auto kCallTime = 30s;
constexpr int kStartWaitMs = 30'000;
constexpr auto kStatusPatience = 5s;

json::object new_job(const BuildConfig& config, const BuildJob& job, const BuildFolder& folder) {
  return {{"app_id", job.app_id},
          {"kind", "build"},
          {"type", "slugbuilder"},
          {"layers", job.layers},
          {"args", {"/usr/bin/tini", "-s", "-g", "--", "/buildpacks/build/build.sh"}},
          {"env",
           {{"HOME", "/app"},
            {"STACK", "heroku-24"},
            {"SOURCE_VERSION", job.rev},
            {"REQUEST_ID", "flynn-build"},
            {"PATH", "/usr/local/bin:/usr/bin:/bin"}}},
          {"release_env", false},
          {"mounts", folder.mounts(config, job.app_id)},
          {"resources", {{"memory_bytes", config.build_memory_bytes}}},
          {"attach", true},
          {"stdin", true},
          {"log", false},
          {"timeout_ms", config.build_timeout.count()}};
}

// What the host knows of a job that ended, in words; empty when it knows nothing.
std::string reason_of(PlatformApi& api, const BuildConfig& config, const std::string& host_id,
                      const std::string& job_id, const Cancel& cancel) {
  std::string key = "jobs/status/" + host_id + "/" + job_id;
  for (Deadline deadline = Deadline::after(kStatusPatience);;) {
    auto status = StoreClient(api.door()).get(key);
    if (!status || !*status || !(*status)->value.is_object()) return {};
    const json::object& document = (*status)->value.get_object();
    if (string_or(document, "state") == "down") {
      if (bool_or(document, "oom")) {
        return "the build ran out of memory (limit " + std::to_string(config.build_memory_bytes >> 20) + " MiB)";
      }
      return string_or(document, "error");
    }
    if (deadline.passed() || cancel.wait(100)) return {};
  }
}

}  // namespace

Result<void> run_build_job(PlatformApi& api, const BuildConfig& config, const BuildJob& job, const BuildFolder& folder,
                           UniqueFd source, const LineSink& line, const AttachOptions& options) {
  auto placed = api.door().call("flynn.scheduler/1", "Run", new_job(config, job, folder), kCallTime);
  if (!placed) return placed.error().context("start the build job");
  std::string job_id = string_or(placed->body, "job_id"), host_id = string_or(placed->body, "host_id");
  auto give_up = [&](Error error) -> Result<void> {
    (void)api.door().call("flynn.scheduler/1", "Stop", {{"job_id", job_id}}, kCallTime);
    return error;
  };
  json::object attach{{"job_id", job_id}, {"stdin", true},   {"stdout", true},
                      {"stderr", true},   {"replay", false}, {"wait_ms", kStartWaitMs}};
  auto attached =
      api.door().call("flynn.host/1", "Attach", attach, kCallTime + std::chrono::milliseconds(kStartWaitMs));
  if (!attached) return give_up(attached.error().context("attach to the build job"));
  if (attached->fds.empty()) return give_up(Error{Code::internal, "attach to the build job: the host gave no stream"});
  auto status = relay_job(std::move(attached->fds[0]), std::move(source), line, options);
  if (status && *status == 0) return {};
  if (!status && status.error().code != Code::unavailable) return give_up(status.error());
  std::string reason = reason_of(api, config, host_id, job_id, options.cancel);
  if (reason.empty()) reason = status ? "exit status " + std::to_string(*status) : status.error().message;
  Error error{Code::failed_precondition, reason};
  return status ? Result<void>(error) : give_up(error);
}

}  // namespace flynn::builder
