// Conmon: the monitor process of one job. It outlives us: daemonised, own session, own cgroup. It keeps the job's
// standard streams, writes the log, serves attach, and leaves the exit status in a file when the job ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"
#include "job_spec.h"
#include "node_paths.h"
#include "oci_runtime.h"

namespace flynn::host {

/// Who a monitor is, as remembered: a pid alone may have been given to another process since.
struct MonitorId {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  // field 22 of /proc/<pid>/stat: clock ticks since boot
};

struct StartedMonitor {
  MonitorId id;
  pid_t job_pid = 0;  // PID 1 of the job, in our pid namespace
};

/// Starts conmon for the bundle, which makes ("creates") the container; the job's program does not run yet.
/// `adopt`: called with conmon's pid before it starts anything, to put it into its cgroup.
Result<StartedMonitor> start_monitor(const JobSpec& spec, const NodePaths& paths, const OciRuntime& runtime,
                                     const CgroupTree& cgroups, std::uint64_t log_bytes_max);

/// A descriptor that becomes readable when the monitor ends; `not_found` when it no longer lives.
Result<UniqueFd> open_monitor(const MonitorId& id);
/// The monitor that conmon's own pid file names, if it still lives and serves this very bundle.
Result<MonitorId> find_monitor(const NodePaths& paths, const std::string& job_id);
/// PID 1 of the job in our pid namespace; 0 when it does not run.
pid_t job_pid(const NodePaths& paths, const std::string& job_id);
/// What conmon left: the job's exit status; nullopt while it has not ended.
std::optional<int> read_exit_status(const NodePaths& paths, const std::string& job_id);

/// A connected socket (SOCK_SEQPACKET): packets of conmon begin with the stream (2 stdout, 3 stderr), ours are stdin.
Result<UniqueFd> connect_attach(const NodePaths& paths, const std::string& job_id);
Result<void> resize_terminal(const NodePaths& paths, const std::string& job_id, unsigned rows, unsigned columns);

/// 0 when there is no such process.
std::uint64_t process_start_time(pid_t pid);

}  // namespace flynn::host
