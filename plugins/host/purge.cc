// flynn-host-purge: ends every job of this node and removes mounts, interfaces, namespaces and control groups of it,
// also when nothing else of the platform runs. Files below the data folder stay.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "conmon.h"
#include "files.h"
#include "machine.h"
#include "mounts.h"
#include "names.h"
#include "net_namespace.h"
#include "oci_runtime.h"
#include "overlay_root.h"

namespace flynn::host {
namespace {

int problems = 0;

void expect(const Result<void>& done, const std::string& doing) {
  if (done) return;
  std::fprintf(stderr, "flynn-host-purge: %s: %s\n", doing.c_str(), done.error().message.c_str());
  ++problems;
}

// By pidfd, after its identity was checked: never somebody else's process.
void end_monitor(const NodePaths& paths, const std::string& job_id) {
  const auto id = find_monitor(paths, job_id);
  if (!id || id->pid <= 1) return;
  const auto pidfd = open_monitor(*id);
  if (pidfd) ::syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0);
}

void purge_job(const NodePaths& paths, const NodeRecord& node, const CgroupTree& cgroups,
               const std::vector<OciRuntime>& runtimes, const std::string& id) {
  for (const auto& runtime : runtimes) {
    const auto known = runtime.state(id);
    if (known) expect(runtime.remove(id), "end job " + id);
  }
  end_monitor(paths, id);
  expect(unmount_root(paths, id), "unmount job " + id);
  expect(remove_net_namespace(paths.netns(id), veth_name(node.bridge, id)), "disconnect job " + id);
  expect(cgroups.remove(id), "remove the control group of job " + id);
}

int purge(const NodePaths& paths) {
  auto node = read_node_record(paths);
  if (!node) {
    if (node.error().code == Code::not_found) return 0;  // nothing was ever started
    expect(node.error(), "read what was started");
    return 1;
  }
  auto cgroups = CgroupTree::open(node->host_id);
  if (!cgroups) return expect(cgroups.error(), "control groups"), 1;
  const auto runtimes = OciRuntime::installed(paths.run_dir + "/flynn-init", paths.runtime_root(), *cgroups);
  for (const auto& id : list_folder(paths.jobs())) purge_job(paths, *node, *cgroups, runtimes, id);
  for (const auto& folder : {paths.jobs(), paths.run_dir})
    for (const auto& point : mounts_below(folder)) expect(unmount(point), "unmount " + point);
  expect(remove_bridge(node->bridge, table_name(node->host_id + node->bridge)), "remove the bridge " + node->bridge);
  cgroups->remove_base();
  return problems == 0 ? 0 : 1;
}

}  // namespace
}  // namespace flynn::host

int main(int argc, char** argv) {
  const std::string first = argc == 5 ? argv[1] : "", second = argc == 5 ? argv[3] : "";
  if (first != "--data-dir" || second != "--run-dir") {
    std::fputs("usage: flynn-host-purge --data-dir DIR --run-dir DIR   (the host plugin's folders)\n", stderr);
    return 64;
  }
  return flynn::host::purge({argv[2], argv[4]});
}
