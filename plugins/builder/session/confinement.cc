#include "confinement.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

namespace flynn::builder {

Result<void> show_repository(const std::string& repository) {
  if (::unshare(CLONE_NEWNS) != 0) return errno_error(errno, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return errno_error(errno, "make mounts private");
  if (::mount(repository.c_str(), kRepositoryMount, nullptr, MS_BIND, nullptr) != 0) {
    return errno_error(errno, "bind the repository " + repository);
  }
  return {};
}

Result<void> drop_privileges(uid_t id) {
  if (::geteuid() == 0) {
    gid_t group = static_cast<gid_t>(id);
    if (::setgroups(0, nullptr) != 0 || ::setresgid(group, group, group) != 0 || ::setresuid(id, id, id) != 0) {
      return errno_error(errno, "drop privileges");
    }
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error(errno, "set no-new-privileges");
  return {};
}

}  // namespace flynn::builder
