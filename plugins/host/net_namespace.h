// A job's network namespace: made before the job, mounted at run_dir/netns/<job>, joined to the bridge by a veth pair.
#pragma once

#include <string>

#include "flynn/sdk/result.h"

namespace flynn::host {

struct NetNamespacePlan {
  std::string path;          // where it is mounted
  std::string bridge, veth;  // veth: the end on the host's side
  std::string address, gateway;
  unsigned prefix_bits = 20;
};

/// Makes namespace, veth pair, address and default route. Undone by remove_net_namespace, also when half made.
Result<void> make_net_namespace(const NetNamespacePlan& plan);
/// Ends the veth pair and the mount; the kernel frees the namespace with its last process.
Result<void> remove_net_namespace(const std::string& path, const std::string& veth);

}  // namespace flynn::host
