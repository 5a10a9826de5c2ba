// The OCI runtime configuration (config.json, 1.0) of a job: pure functions from the spec and what was prepared for it.
#pragma once

#include <string>
#include <vector>

#include "job_spec.h"

namespace flynn::host {

struct PreparedVolume {
  std::string source, target;
};

struct OciInputs {
  std::string root;   // mounted overlay
  std::string etc;    // folder with hosts, resolv.conf, hostname
  std::string netns;  // path of the network namespace
  std::string cgroup_path;
  std::string init_program;  // ours, bound into the job as kInitInside
  std::string hostname;
  bool limits_swap = false;
  std::uint64_t fd_hard_limit = 0;  // what we ourselves may not exceed
  std::vector<PreparedVolume> volumes;
};

/// Lies in the job's private /dev: nothing of it shows in the image.
inline constexpr char kInitInside[] = "/dev/flynn-init";

std::string oci_config(const JobSpec& spec, const OciInputs& inputs);
/// A container that runs /init --true under the same restrictions.
std::string trial_config(const std::string& root, const std::string& cgroup_path);

}  // namespace flynn::host
