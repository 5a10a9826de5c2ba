#include "cgroup.h"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <iterator>
#include <set>
#include <sstream>

#include "files.h"

namespace flynn::host {
namespace {

constexpr char kRoot[] = "/sys/fs/cgroup";
constexpr char kMonitors[] = "monitors";
constexpr long kCgroup2Magic = 0x63677270;

std::uint64_t to_number(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// The number behind `key` in a file of "key number" lines.
std::uint64_t keyed(const std::string& path, const std::string& key) {
  auto text = read_file(path);
  if (!text) return 0;
  std::istringstream lines(*text);
  for (std::string name, value; lines >> name >> value;) {
    if (name == key) return to_number(value);
  }
  return 0;
}

std::uint64_t single(const std::string& path) {
  auto text = read_file(path);
  return text ? to_number(*text) : 0;
}

bool is_v2_tree(const std::string& path) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == kCgroup2Magic;
}

void remove_groups(const std::string& path) {
  for (const auto& name : list_folder(path)) {
    struct stat info {};
    const auto below = path + "/" + name;
    if (::lstat(below.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) remove_groups(below);
  }
  ::rmdir(path.c_str());
}

}  // namespace

Result<CgroupTree> CgroupTree::open(const std::string& host_id) {
  CgroupTree tree;
  tree.base_ = "flynn-" + host_id;
  const std::string root = kRoot;
  if (is_v2_tree(root)) {
    tree.layout_ = CgroupLayout::v2;
    tree.roots_ = {root};
    // Swap control shows only in groups below the root.
    tree.limits_swap_ = path_exists("/proc/swaps");
    return tree;
  }
  for (const auto& name : list_folder(root)) {
    struct stat info {};
    const auto path = root + "/" + name;
    if (::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) tree.roots_.push_back(path);
  }
  if (tree.roots_.empty()) {
    return Error{Code::failed_precondition, "no cgroup tree is mounted at /sys/fs/cgroup; mount cgroup2 there"};
  }
  tree.layout_ = is_v2_tree(root + "/unified") ? CgroupLayout::hybrid : CgroupLayout::v1;
  tree.limits_swap_ = path_exists(root + "/memory/memory.memsw.limit_in_bytes");
  return tree;
}

Result<void> hand_controllers_down(const std::string& group) {
  auto offered = read_file(group + "/cgroup.controllers");
  if (!offered) return offered.error().context("hand down cgroup controllers");
  std::istringstream names(*offered);
  const std::set<std::string> there{std::istream_iterator<std::string>(names), {}};
  std::string wanted, missing;
  for (const char* controller : {"cpu", "memory", "pids"}) {
    wanted += (wanted.empty() ? "+" : " +") + std::string(controller);
    if (!there.contains(controller)) missing += (missing.empty() ? "" : ", ") + std::string(controller);
  }
  if (!missing.empty())
    return Error{Code::failed_precondition,
                 "the control group " + group + " has no controller for " + missing +
                     ", without which jobs have no limits; on a machine: start its kernel without cgroup_disable and "
                     "with cgroup_enable=" +
                     missing + "; in a container: what runs it must hand that controller down"};
  auto done = write_control(group + "/cgroup.subtree_control", wanted);
  if (done) return {};
  // Only the true root may have both members and groups below that have controllers.
  if (auto members = read_file(group + "/cgroup.procs"); members && !members->empty())
    return done.error().context("hand down cgroup controllers: " + group +
                                " has processes of its own, move them to a group below it (cgroup.procs)");
  return done.error().context("hand down cgroup controllers");
}

std::string CgroupTree::layout_name() const {
  return layout_ == CgroupLayout::v2 ? "v2" : layout_ == CgroupLayout::v1 ? "v1" : "hybrid";
}

Result<void> CgroupTree::prepare() {
  if (layout_ != CgroupLayout::v2) return {};
  const auto parent = roots_.front() + "/" + base_;
  if (auto made = make_folders(parent, 0755); !made) return made;
  for (const auto& group : {roots_.front(), parent})
    if (auto done = hand_controllers_down(group); !done) return done;
  limits_swap_ = path_exists(parent + "/memory.swap.max");
  return {};
}

void CgroupTree::adopt_monitor(pid_t pid) const {
  for (const auto& root : roots_) {
    const auto group = root + "/" + base_ + "/" + kMonitors;
    if (!make_folders(group, 0755)) continue;
    if (root.size() >= 7 && root.compare(root.size() - 7, 7, "/cpuset") == 0)
      continue;  // needs cpus set before members
    (void)write_control(group + "/cgroup.procs", std::to_string(pid));
  }
}

std::string CgroupTree::file(const std::string& controller, const std::string& job_id, const std::string& name) const {
  const std::string root = layout_ == CgroupLayout::v2 ? kRoot : std::string(kRoot) + "/" + controller;
  return root + job_path(job_id) + "/" + name;
}

std::uint64_t CgroupTree::oom_kills(const std::string& job_id) const {
  const bool v2 = layout_ == CgroupLayout::v2;
  return keyed(file("memory", job_id, v2 ? "memory.events" : "memory.oom_control"), "oom_kill");
}

CgroupStats CgroupTree::stats(const std::string& job_id) const {
  CgroupStats stats;
  const bool v2 = layout_ == CgroupLayout::v2;
  stats.memory_bytes = single(file("memory", job_id, v2 ? "memory.current" : "memory.usage_in_bytes"));
  stats.pids = single(file("pids", job_id, "pids.current"));
  stats.cpu_ns = v2 ? keyed(file("cpu", job_id, "cpu.stat"), "usage_usec") * 1000
                    : single(file("cpuacct", job_id, "cpuacct.usage"));
  return stats;
}

Result<void> CgroupTree::remove(const std::string& job_id) const {
  for (const auto& root : roots_) {
    const auto path = root + job_path(job_id);
    if (!path_exists(path)) continue;
    remove_groups(path);
    if (path_exists(path)) return Error{Code::failed_precondition, "cgroup " + path + " still has processes"};
  }
  return {};
}

void CgroupTree::remove_base() const {
  for (const auto& root : roots_) remove_groups(root + "/" + base_);
}

}  // namespace flynn::host
