// The job in which an app is built.
#pragma once

#include "attach_client.h"
#include "build_config.h"
#include "build_folder.h"
#include "platform_api.h"

namespace flynn::builder {

struct BuildJob {
  std::string app_id, rev, release_id;
  json::array layers;
};

/// Runs build.sh on the source that comes from `source` and relays its output. An error says why the build failed;
/// the job is stopped then. Thread: [any].
Result<void> run_build_job(PlatformApi& api, const BuildConfig& config, const BuildJob& job, const BuildFolder& folder,
                           UniqueFd source, const LineSink& line, const AttachOptions& options);

}  // namespace flynn::builder
