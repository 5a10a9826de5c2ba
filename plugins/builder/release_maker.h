// From a slug in the blobstore to a running release.
#pragma once

#include <map>

#include "attach_client.h"
#include "build_config.h"
#include "platform_api.h"

namespace flynn::builder {

struct NewRelease {
  std::string app_id, app_name, rev, branch;
  json::object previous;  // the app's current release, or empty
  json::object env;       // complete
  std::vector<std::string> process_types;
  Slug slug;
  json::array run_layers;
};

struct MadeRelease {
  std::string release_id, artifact_id;
};

/// The process types of a release: what the previous one said of a type is kept. Pure.
json::object release_processes(const std::string& app_name, const std::vector<std::string>& types,
                               const json::object& previous);

/// Thread: [any]. Borrows everything.
class ReleaseMaker {
 public:
  ReleaseMaker(PlatformApi& api, const BuildConfig& config, const LineSink& line, const Cancel& cancel)
      : api_(api), config_(config), line_(line), cancel_(cancel) {}

  Result<MadeRelease> create(const NewRelease& wanted);
  /// Waits until it runs, or says why it does not, with the app's last log lines printed.
  Result<void> deploy(const NewRelease& wanted, const std::string& release_id);
  /// Addresses of the app, for people.
  std::vector<std::string> urls(const std::string& app_id);

 private:
  Result<std::string> artifact(const std::string& uri, const json::array& layers, json::object meta);
  Result<void> wait_for_deployment(const std::string& app_id, const std::string& release_id, json::object deployment);
  Result<void> start_first_web(const std::string& app_id, const std::string& release_id);
  /// The release's jobs, newest first; prints each change of state once.
  Result<json::array> watch_jobs(const std::string& app_id, const std::string& release_id);
  /// Why the newest job that ended did so; prints its last lines.
  std::string explain_failure(const std::string& app_id, const std::string& release_id);

  PlatformApi& api_;
  const BuildConfig& config_;
  const LineSink& line_;
  const Cancel& cancel_;
  std::map<std::string, std::string> shown_states_;
};

}  // namespace flynn::builder
