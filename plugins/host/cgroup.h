// Cgroup: the control group of a job, on v2, v1 and hybrid machines.
//
// Jobs lie in flynn-<host>/<job>, conmon processes in flynn-<host>/monitors: outside of the group of whoever started
// the host, which a service manager would kill as a whole. Thread: [any].
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn::host {

enum class CgroupLayout { v1, v2, hybrid };

struct CgroupStats {
  std::uint64_t memory_bytes = 0, cpu_ns = 0, pids = 0;
};

/// v2: lets groups below `group` (a folder) have the limits of jobs. `failed_precondition` names what the kernel or the
/// container around this machine does not give; other errors, processes that are in the way.
Result<void> hand_controllers_down(const std::string& group);

class CgroupTree {
 public:
  /// Looks at what is mounted. `failed_precondition` when nothing is.
  static Result<CgroupTree> open(const std::string& host_id);

  CgroupLayout layout() const { return layout_; }
  std::string layout_name() const;
  /// For linux.cgroupsPath of the runtime's configuration.
  std::string job_path(const std::string& job_id) const { return "/" + base_ + "/" + job_id; }
  bool limits_swap() const { return limits_swap_; }
  /// Makes the parent and, on v2, hands the controllers down.
  Result<void> prepare();
  /// Best effort: moves a monitor out of our own group.
  void adopt_monitor(pid_t pid) const;
  /// Processes that the OOM killer took in the job's group so far.
  std::uint64_t oom_kills(const std::string& job_id) const;
  CgroupStats stats(const std::string& job_id) const;
  /// Removes the job's group in every tree; the runtime has usually done that.
  Result<void> remove(const std::string& job_id) const;
  /// Removes the parent in every tree.
  void remove_base() const;

 private:
  std::string file(const std::string& controller, const std::string& job_id, const std::string& name) const;

  CgroupLayout layout_ = CgroupLayout::v2;
  std::string base_;
  std::vector<std::string> roots_;  // mount points of every tree
  bool limits_swap_ = false;
};

}  // namespace flynn::host
