#include "file_view.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "view_source.h"

namespace flynn::core {
namespace {

constexpr const char* kLinksOfDev[][2] = {{"/dev/fd", "/proc/self/fd"},
                                          {"/dev/stdin", "/proc/self/fd/0"},
                                          {"/dev/stdout", "/proc/self/fd/1"},
                                          {"/dev/stderr", "/proc/self/fd/2"}};

Result<void> set_flags(int mounts, std::uint64_t flags, unsigned depth) {
  mount_attr attributes{};
  attributes.attr_set = flags;
  if (::mount_setattr(mounts, "", AT_EMPTY_PATH | depth, &attributes, sizeof attributes) == 0) return {};
  if (errno == ENOSYS) return Error{Code::unimplemented, "it needs Linux 5.12 or later"};
  return errno_error(errno, "make mounts read-only");
}

/// A new root folder, on a folder of the old tree that it hides.
class NewRoot {
 public:
  static Result<NewRoot> mount_on(const std::string& folder) {
    // Folders, links and empty files alone, all of them root's.
    if (::mount("flynn-cage", folder.c_str(), "tmpfs", 0, "mode=0755,size=1m") != 0)
      return errno_error(errno, "mount a tmpfs on " + folder);
    NewRoot root;
    root.fd_ = UniqueFd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root.fd_) return errno_error(errno, "open " + folder);
    return root;
  }

  Result<void> attach(const std::string& path, const ViewTree& tree, bool in_another) {
    if (!in_another)
      if (auto made = make_place(path, tree.folder); !made) return made;
    // Whether a device may be written is its own right, not its mount's.
    const std::uint64_t flags = MOUNT_ATTR_NOSUID | (path.starts_with("/dev/") ? 0 : MOUNT_ATTR_NODEV) |
                                (tree.writable() ? 0 : MOUNT_ATTR_RDONLY);
    if (auto set = set_flags(tree.mounts.get(), flags, AT_RECURSIVE); !set) return set.error().context(path);
    const auto place = find(path);
    if (!place) return errno_error(errno, "find the place of " + path);
    if (::move_mount(tree.mounts.get(), "", place.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
      return {};
    return errno_error(errno, "give the cage its view of " + path);
  }

  // Of this kernel's PID namespace, where other users' processes do not show.
  Result<void> mount_proc() {
    if (auto made = make_place("/proc", true); !made) return made;
    const UniqueFd place = find("/proc");
    const auto path = "/proc/self/fd/" + std::to_string(place.get());
    constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
    if (::mount("proc", path.c_str(), "proc", kFlags, "hidepid=invisible") == 0) return {};
    // Where a part of the host's own /proc is covered, as in some containers, the kernel gives no other one.
    ViewTree old{UniqueFd(::open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)),
                 FileUse::read, true};
    if (!old.mounts) return errno_error(errno, "open the mounts of /proc");
    return attach("/proc", old, true);
  }

  Result<void> link(const std::string& path, const std::string& target) {
    if (auto made = make_parents(path); !made) return made;
    if (::symlinkat(target.c_str(), fd_.get(), path.c_str() + 1) == 0 || errno == EEXIST) return {};
    return errno_error(errno, "make the link " + path);
  }

  // Its folders are root's, whom the cage is not: EACCES, as of any folder that is not the plugin's. Read-only would be
  // EROFS, which says that the disk is at fault.
  Result<void> close_it() { return set_flags(fd_.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0); }

  // The old tree is gone with this, and with it every mount of the host that was copied.
  Result<void> enter() {
    if (::fchdir(fd_.get()) != 0) return errno_error(errno, "enter the view");
    if (::syscall(SYS_pivot_root, ".", ".") == 0) {
      if (::umount2(".", MNT_DETACH) != 0) return errno_error(errno, "leave the host's files");
    } else if (errno != EINVAL || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0) {
      // EINVAL: the host runs in an initramfs, which can't be exchanged.
      return errno_error(errno, "make the view the root folder");
    }
    return ::chdir("/") == 0 ? Result<void>{} : errno_error(errno, "enter the view");
  }

 private:
  // Links and what leads out are no place: the plugin's own folders are the plugin's to change.
  UniqueFd find(const std::string& path) const {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    return UniqueFd(static_cast<int>(::syscall(SYS_openat2, fd_.get(), path.c_str() + 1, &how, sizeof how)));
  }

  Result<void> make_parents(const std::string& path) {
    for (auto end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
      if (::mkdirat(fd_.get(), path.substr(1, end - 1).c_str(), 0755) != 0 && errno != EEXIST)
        return errno_error(errno, "make " + path.substr(0, end));
    return {};
  }

  Result<void> make_place(const std::string& path, bool folder) {
    if (auto made = make_parents(path); !made) return made;
    const char* name = path.c_str() + 1;
    const int failed = folder ? ::mkdirat(fd_.get(), name, 0755) : ::mknodat(fd_.get(), name, S_IFREG | 0644, 0);
    if (failed != 0 && errno != EEXIST) return errno_error(errno, "make " + path);
    return {};
  }

  UniqueFd fd_;
};

Result<void> fill(NewRoot& root, const ViewSource& source) {
  for (const auto& [path, tree] : source.trees)
    if (auto attached = root.attach(path, tree, source.around(path) != nullptr); !attached) return attached;
  for (const auto& link : source.links)
    if (auto made = root.link(link.path, link.target); !made) return made;
  for (const auto& link : kLinksOfDev)
    if (auto made = root.link(link[0], link[1]); !made) return made;
  if (auto mounted = root.mount_proc(); !mounted) return mounted;
  return root.close_it();
}

Result<void> build(const CageWalls& walls, ViewSource& source) {
  auto root = NewRoot::mount_on(walls.run_dir);
  if (!root) return root.error();
  if (auto filled = fill(*root, source); !filled) return filled;
  return root->enter();
}

std::string here() {
  std::array<char, PATH_MAX> folder{};
  return ::getcwd(folder.data(), folder.size()) == nullptr ? "/" : folder.data();
}

// What the operator can't mend by a path: the kernel is older, or the host itself is in a container that may not.
bool is_refusal(const Error& error) {
  return error.code == Code::permission_denied || error.code == Code::unimplemented;
}

}  // namespace

Result<std::string> enter_file_view(const CageWalls& walls) {
  if (::geteuid() != 0) return std::string("the host does not run as root");
  const UniqueFd before(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  const auto folder = here();
  const auto as_before = [&](const Error& why) -> Result<std::string> {
    if (!is_refusal(why) || !before || ::setns(before.get(), CLONE_NEWNS) != 0 || ::chdir(folder.c_str()) != 0)
      return why.context("give the cage a view of files of its own");
    return "none can be made: " + why.message;
  };
  if (::unshare(CLONE_NEWNS) != 0) return as_before(errno_error(errno, "make a mount namespace"));
  // Below the host's and never above: what happens there shows here, nothing the other way round. Private copies would
  // keep what the host unmounts, a job's layers, busy for as long as the cage runs.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return as_before(errno_error(errno, "part the mounts from the host's"));
  ::umask(022);  // the host's may close the new root's folders to the cage's user
  auto source = ViewSource::open(file_rules(walls));
  if (!source) return as_before(source.error());
  if (source->trees.contains("/")) return as_before({Code::permission_denied, "may_read or may_write names /"});
  if (auto built = build(walls, *source); !built) return as_before(built.error());
  // Folders that the configuration names relative to where the host was started.
  (void)!::chdir(folder.c_str());
  return std::string();
}

}  // namespace flynn::core
