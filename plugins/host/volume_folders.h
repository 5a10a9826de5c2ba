// VolumeFolders: what jobs keep on this machine, one folder for each app and name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"
#include "node_paths.h"

namespace flynn::host {

struct Volume {
  std::string id, app_id, path;  // id: "APP.NAME"
};

/// What the files below a folder take up together, links not followed; what vanishes meanwhile is not counted.
std::uint64_t tree_bytes(const std::string& folder);

/// Thread: [any].
class VolumeFolders {
 public:
  /// `running_job`: a job of the app that is not down, empty when there is none.
  VolumeFolders(NodePaths paths, std::function<std::string(const std::string& app_id)> running_job)
      : paths_(std::move(paths)), running_job_(std::move(running_job)) {}

  std::vector<Volume> list() const;
  /// invalid_argument: no volume id; not_found.
  Result<Volume> find(const std::string& id) const;
  /// A job of the app that is not down, empty when there is none.
  std::string user_of(const Volume& volume) const { return running_job_(volume.app_id); }
  /// failed_precondition while a job of the app runs.
  Result<void> destroy(const std::string& id) const;

 private:
  const NodePaths paths_;
  const std::function<std::string(const std::string&)> running_job_;
};

}  // namespace flynn::host
