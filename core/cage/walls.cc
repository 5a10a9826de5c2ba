#include "walls.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "file_view.h"
#include "landlock.h"
#include "syscall_filter.h"

namespace flynn::core {
namespace {

// Threads and processes of the user, and descriptors: enough for a router, too few for a bomb.
constexpr rlim_t kTasksMax = 1024, kDescriptorsMax = 65536;

// A sanitizer makes system calls of its own, and its shadow memory would count.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kFiltered = false;
#else
constexpr bool kFiltered = true;
#endif

json::array list_of(const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); }

void lower(__rlimit_resource what, rlim_t value) {
  rlimit now{};
  if (::getrlimit(what, &now) != 0) return;
  value = std::min(value, now.rlim_max);  // only ever down
  now = {value, value};
  ::setrlimit(what, &now);
}

void limit(const CageWalls& walls) {
  lower(RLIMIT_CORE, 0);
  lower(RLIMIT_NOFILE, kDescriptorsMax);
  if (walls.user != 0) lower(RLIMIT_NPROC, kTasksMax);
  if (kFiltered && walls.memory_bytes > 0) lower(RLIMIT_DATA, static_cast<rlim_t>(walls.memory_bytes));
}

// The one privilege that a cage may have. Programs that it starts do not get it.
Result<void> keep_low_ports() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  sets[0].permitted = sets[0].effective = 1U << CAP_NET_BIND_SERVICE;
  if (::syscall(SYS_capset, &header, sets.data()) != 0) return errno_error(errno, "keep the right to low ports");
  return {};
}

Result<void> become(uid_t user, bool low_ports) {
  if (user == 0) return {};
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  if (low_ports && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return errno_error(errno, "keep a capability");
  if (::setgroups(0, nullptr) != 0) return errno_error(errno, "leave every group");
  if (::setresgid(user, user, user) != 0) return errno_error(errno, "take the group " + std::to_string(user));
  if (::setresuid(user, user, user) != 0) return errno_error(errno, "take the user " + std::to_string(user));
  if (low_ports)
    if (auto kept = keep_low_ports(); !kept) return kept;
  // A change of user makes /proc/self root's, and the image is opened by that way.
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return {};
}

// What follows asks the kernel, not what was meant.

Wall user_wall(const CageWalls& walls) {
  const auto user = ::getuid();
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  ::syscall(SYS_capget, &header, sets.data());
  const bool alone = walls.user != 0 && user == walls.user && ::geteuid() == user && ::getgroups(0, nullptr) == 0;
  if (!alone) return {"user", false, "a user of its own: the host does not run as root"};
  const bool low_ports = ((sets[0].permitted >> CAP_NET_BIND_SERVICE) & 1U) != 0;
  return {"user", true,
          std::to_string(user) + (low_ports ? ", with the right to low ports alone" : ", without rights")};
}

Wall seccomp_wall(const CageWalls& walls) {
  if (::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
    return {"seccomp", false, kFiltered ? "this kernel has no filter" : "left out in a sanitizer's build"};
  return {"seccomp", true,
          std::string(walls.net ? "sockets of the internet" : "local sockets alone") +
              (walls.exec ? ", programs" : ", no programs")};
}

Wall landlock_wall(int abi) {
  if (abi == 0) return {"landlock", false, "Landlock: this kernel does not have it"};
  return {"landlock", true, "ABI " + std::to_string(abi)};
}

Wall files_wall(const std::string& why_not) {
  struct statfs root {};
  const bool own = why_not.empty() && ::statfs("/", &root) == 0 && root.f_type == TMPFS_MAGIC;
  if (!own) return {"files", false, "a view of files of its own: " + why_not};
  return {"files", true, "it sees what it may use and nothing else"};
}

Wall memory_wall(const CageWalls& walls) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    return {"memory", true, std::to_string(limit.rlim_cur >> 20) + " MiB"};
  const bool wanted = walls.memory_bytes > 0;
  return {"memory", false, wanted ? "left out in a sanitizer's build" : "memory_mb = 0", wanted};
}

Result<void> reach(const std::string& folder) {
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) == 0) return {};
  return errno_error(errno, "its user " + std::to_string(::getuid()) + " can't use " + folder +
                                " (every folder above it must let others pass: chmod o+x)");
}

}  // namespace

json::object CageWalls::document() const {
  return {{"user", user},         {"memory_bytes", memory_bytes},  {"net", net},
          {"exec", exec},         {"low_ports", low_ports},        {"data_dir", data_dir},
          {"run_dir", run_dir},   {"may_read", list_of(may_read)}, {"may_write", list_of(may_write)},
          {"landlock", landlock}, {"file_view", file_view}};
}

CageWalls CageWalls::from(const json::object& document) {
  CageWalls walls;
  walls.user = static_cast<uid_t>(int_or(document, "user"));
  walls.memory_bytes = int_or(document, "memory_bytes");
  walls.net = bool_or(document, "net");
  walls.exec = bool_or(document, "exec");
  walls.low_ports = bool_or(document, "low_ports");
  walls.data_dir = string_or(document, "data_dir");
  walls.run_dir = string_or(document, "run_dir");
  walls.may_read = strings_or_empty(document, "may_read");
  walls.may_write = strings_or_empty(document, "may_write");
  walls.landlock = bool_or(document, "landlock", true);
  walls.file_view = bool_or(document, "file_view", true);
  return walls;
}

json::object Wall::document() const { return {{"name", name}, {"stands", stands}, {"how", how}, {"wanted", wanted}}; }

Wall Wall::from(const json::object& document) {
  return {string_or(document, "name"), bool_or(document, "stands"), string_or(document, "how"),
          bool_or(document, "wanted", true)};
}

Result<void> may_be_caged(const std::vector<std::string>& capabilities) {
  if (std::find(capabilities.begin(), capabilities.end(), "mount") == capabilities.end()) return {};
  return Error{Code::failed_precondition,
               "a plugin with the capability \"mount\" needs root, which no cage gives: run it with cage = \"shared\""};
}

std::string cage_hint(std::string_view words, const std::string& slot) {
  const auto said = [words](std::string_view what) { return words.find(what) != std::string_view::npos; };
  if (said("Permission denied") || said("Operation not permitted") || said("No such file or directory") ||
      said("Read-only file system"))
    return " (it runs in a cage: [plugins." + slot +
           "] may_read and may_write name paths beyond its folders; its manifest's capabilities say what else it may)";
  if (said("Cannot allocate memory") || said("bad_alloc"))
    return " (it runs in a cage: [plugins." + slot + "] memory_mb is what it may ask for)";
  return {};
}

Result<std::vector<Wall>> raise_walls(const CageWalls& walls, int image) {
  // First: it takes root, and shows what the others judge by.
  auto view = walls.file_view ? enter_file_view(walls) : Result<std::string>("left out");
  if (!view) return view.error();
  ::umask(077);
  limit(walls);
  if (auto done = become(walls.user, walls.low_ports); !done) return done.error();
  // Ends with the thread of the host that started it; a change of user would undo it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const auto& folder : {walls.data_dir, walls.run_dir})
    if (auto reached = reach(folder); !reached) return reached.error();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error(errno, "give up new privileges");
  auto landlock = walls.landlock ? restrict_files(walls, image) : Result<int>(0);
  if (!landlock) return landlock.error();
  if (kFiltered)
    if (auto filtered = filter_syscalls(walls.net, walls.exec); !filtered) return filtered.error();
  return std::vector<Wall>{user_wall(walls), seccomp_wall(walls), landlock_wall(*landlock), files_wall(*view),
                           memory_wall(walls)};
}

}  // namespace flynn::core
