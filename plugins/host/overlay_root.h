// OverlayRoot: a job's root file system, an overlay over its layers with the job's own writeable top.
#pragma once

#include <string>
#include <vector>

#include "flynn/sdk/result.h"
#include "job_spec.h"
#include "node_paths.h"

namespace flynn::host {

/// Mounts the overlay at the job's root folder. `layers`: mount points, lowest first, at most kLayersMax; one may be
/// there several times. Already mounted is fine.
Result<void> mount_root(const NodePaths& paths, const std::string& job_id, const std::vector<std::string>& layers);
/// Unmounts it and everything below, and removes what a mount_root that was cut off left.
Result<void> unmount_root(const NodePaths& paths, const std::string& job_id);

/// What the generated files in /etc say.
struct JobNetwork {
  std::string address, gateway;
  unsigned prefix_bits = 20;
  std::vector<std::string> dns;
};

/// The generated files of a job (hosts, resolv.conf, hostname) in its folder `etc`, to be bound over those of the
/// image.
Result<void> write_etc_files(const NodePaths& paths, const JobSpec& spec, const JobNetwork& network);
std::string job_hostname(const JobSpec& spec);

}  // namespace flynn::host
