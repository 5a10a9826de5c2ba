// OciRuntime: crun or runc, whichever really works on this machine. Thread: [any].
#pragma once

#include <string>
#include <vector>

#include "cgroup.h"
#include "flynn/sdk/result.h"

namespace flynn::host {

struct RuntimeProbe {
  std::string name;    // "crun", "runc"
  std::string reason;  // why one that was preferred did not work; empty if none
};

class OciRuntime {
 public:
  /// Tries, with a real container of `init_program`, crun and then runc (or only `wanted`, when not "auto"). The
  /// container's files lie in `scratch` while it runs. The outcome is remembered in `scratch` until the machine
  /// restarts.
  static Result<OciRuntime> probe(const std::string& wanted, const std::string& init_program,
                                  const std::string& scratch, const std::string& state_root, const CgroupTree& cgroups);
  /// Without a trial, for purging: every runtime found here may have started the container.
  static std::vector<OciRuntime> installed(const std::string& init_program, const std::string& state_root,
                                           const CgroupTree& cgroups);

  const std::string& name() const { return name_; }
  const RuntimeProbe& outcome() const { return outcome_; }
  /// The program and the arguments that come before the runtime's own: what conmon needs as well.
  const std::string& program() const { return command_.front(); }
  std::vector<std::string> leading_args() const { return {command_.begin() + 1, command_.end()}; }

  Result<void> start(const std::string& job_id) const;
  /// To PID 1 of the job, which passes it on. `not_found` when it has ended.
  Result<void> kill(const std::string& job_id, int signal) const;
  /// "created", "running", "stopped"; `not_found` when the runtime does not know it.
  Result<std::string> state(const std::string& job_id) const;
  /// Kills what is left and forgets the container; not there is fine.
  Result<void> remove(const std::string& job_id) const;
  Result<std::string> run_trial(const std::string& bundle, const std::string& id) const;

 private:
  std::string name_;
  std::vector<std::string> command_;  // [wrapper, --runtime,] program, --root, folder
  RuntimeProbe outcome_;
};

}  // namespace flynn::host
