// LayerCache: verified squashfs layers on disk, each mounted once however many jobs use it.
//
// Files live in data_dir/layers, mounts in run_dir/layers. A layer is fetched as a blob, its SHA-512/256 must be its
// name, and only then does it get the name under which it may be mounted. Reference counts are not stored: after a
// restart they are rebuilt by acquiring the layers of every adopted job, then drop_unused() unmounts the rest.
// Borrows `door`. Thread: [any].
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "flynn/sdk/host.h"
#include "job_spec.h"
#include "node_paths.h"

namespace flynn::host {

class LayerCache {
 public:
  LayerCache(Door& door, NodePaths paths) : door_(door), paths_(std::move(paths)) {}

  /// Fetches what is missing, mounts what is not mounted, counts a use by `job_id`. The mount points in the order
  /// given. The same job may acquire again; that counts once.
  Result<std::vector<std::string>> acquire(const std::string& job_id, const std::vector<Layer>& layers);
  /// Ends the job's uses and unmounts layers that nobody uses.
  void release(const std::string& job_id);
  /// Unmounts layers that no job has acquired: what an earlier process left.
  void drop_unused();
  std::size_t mounted() const;

 private:
  Result<void> fetch(const Layer& layer);
  Result<void> mount(const Layer& layer);

  Door& door_;
  const NodePaths paths_;
  mutable std::mutex mutex_;  // held over fetch and mount: a layer two jobs want at once is fetched once
  std::map<std::string, std::set<std::string>> users_;  // layer id -> job ids
};

}  // namespace flynn::host
