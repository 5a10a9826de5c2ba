// Pipeline: from a source archive to a deployed release. Shared by pushes and by the method Build.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "attach_client.h"
#include "build_config.h"
#include "flynn/sdk/host.h"

namespace flynn::builder {

using Phases = std::vector<std::pair<std::string, std::int64_t>>;  // name, milliseconds, in order

struct BuildRequest {
  std::string build_id, app_id, rev, branch;
  json::object env;  // added to the release's
  Phases phases;     // what was done before
};

struct BuildOutcome {
  std::string release_id, artifact_id;
  std::vector<std::string> process_types;
  Phases phases;
};

struct RunningBuild {
  std::string build_id, app_id, since;
};

/// Gives the source: a tar to read to its end. Called once the build may begin.
using OpenSource = std::function<Result<UniqueFd>()>;
/// Whether all of the source was given; asked when it has been read.
using CloseSource = std::function<Result<void>()>;

/// Thread: [any], concurrently; one build per app at a time (`conflict`). Borrows the door.
class Pipeline {
 public:
  Pipeline(Door& door, BuildConfig config) : door_(door), config_(std::move(config)) {}

  /// Everything half made is removed when it fails. The last lines say where the app is and how long each phase took.
  Result<BuildOutcome> run(BuildRequest request, const OpenSource& open, const CloseSource& close, const LineSink& line,
                           const Cancel& cancel);
  std::vector<RunningBuild> running() const;

 private:
  Result<BuildOutcome> build(BuildRequest& request, const OpenSource& open, const CloseSource& close,
                             const LineSink& line, const Cancel& cancel);

  Door& door_;
  BuildConfig config_;
  mutable std::mutex mutex_;
  std::vector<RunningBuild> running_;
};

std::string phases_line(const Phases& phases);

}  // namespace flynn::builder
