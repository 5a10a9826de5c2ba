// Machine: what jobs are made of on this node: folders, runtime, cgroups, layers, addresses, bridge.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "address_pool.h"
#include "cgroup.h"
#include "conmon.h"
#include "host_options.h"
#include "layer_cache.h"
#include "net_bridge.h"
#include "node_paths.h"
#include "oci_runtime.h"

namespace flynn::host {

/// A container that was made and waits to be started.
struct PreparedJob {
  MonitorId monitor;
  std::string address;
};

/// Everything here may block. Thread: [any], one thread a job. Borrows `door`.
class Machine {
 public:
  /// Changes nothing of the machine: invalid_argument for a subnet that is none.
  static Result<std::unique_ptr<Machine>> make(Door& door, NodePaths paths, HostOptions options);
  /// Whether an earlier set_up() of the same options and the same init program was carried through. Another one then
  /// changes nothing that running jobs or another instance stand on.
  bool is_set_up() const;
  /// Makes the folders and the bridge, probes the runtime. Errors say which step failed. Before any job.
  Result<void> set_up(Log& log);

  /// Layers, root, network, volumes, container. What a failed step leaves is undone by tear_down.
  Result<PreparedJob> prepare(const JobSpec& spec);
  Result<void> start(const std::string& job_id) { return runtime_.start(job_id); }
  Result<void> signal(const std::string& job_id, int number) { return runtime_.kill(job_id, number); }
  /// Nothing of it stays mounted, connected or running. Volumes stay unless the spec says otherwise. The first error.
  Result<void> tear_down(const JobSpec& spec);
  /// An adopted job's address and layers count as used again.
  Result<void> claim(const JobSpec& spec, const std::string& address);

  const NodePaths& paths() const { return paths_; }
  const HostOptions& options() const { return options_; }
  const OciRuntime& runtime() const { return runtime_; }
  const CgroupTree& cgroups() const { return cgroups_; }
  LayerCache& layers() { return layers_; }
  std::string gateway() const { return addresses_.subnet().gateway(); }

 private:
  Machine(Door& door, NodePaths paths, HostOptions options, Subnet subnet);
  std::string record() const;
  BridgeOptions bridge() const;
  Result<void> connect(const JobSpec& spec, const std::string& address);
  Result<std::string> make_config(const JobSpec& spec);
  Result<std::string> make_volume(const JobSpec& spec, const JobVolume& volume);

  NodePaths paths_;
  HostOptions options_;
  CgroupTree cgroups_;
  OciRuntime runtime_;
  LayerCache layers_;
  AddressPool addresses_;
};

/// Written to data_dir/node.json, so that a purge knows what to remove when nothing of us runs.
struct NodeRecord {
  std::string host_id, bridge;
};
Result<NodeRecord> read_node_record(const NodePaths& paths);

/// Our own PID 1, as a file in run_dir.
Result<std::string> write_init_program(const NodePaths& paths);

}  // namespace flynn::host
