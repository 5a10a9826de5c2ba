#include "syscall_filter.h"

#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <sstream>
#include <string>

namespace flynn::core {
namespace {

// What a server program with threads, files and sockets needs. Left out on purpose: mounts, namespaces, modules, kexec,
// reboot, clocks that are set, keyrings, bpf, perf, userfaultfd, io_uring, ptrace and the memory of others, devices
// (mknod), open_by_handle_at.
constexpr const char* kAllowed =
    // files
    "access faccessat faccessat2 chdir fchdir chmod fchmod fchmodat fchmodat2 chown fchown fchownat lchown close "
    "close_range copy_file_range creat dup dup2 dup3 fadvise64 fallocate fcntl fdatasync fsync fgetxattr flistxattr "
    "fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr removexattr setxattr flock "
    "fstat newfstatat stat lstat statx statfs fstatfs ftruncate truncate futimesat utime utimensat utimes getcwd "
    "getdents getdents64 inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl link linkat lseek mkdir "
    "mkdirat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readv write writev readahead "
    "readlink readlinkat rename renameat renameat2 rmdir sendfile splice tee symlink symlinkat sync_file_range syncfs "
    "umask unlink unlinkat memfd_create landlock_create_ruleset landlock_add_rule landlock_restrict_self "
    // memory
    "brk mmap mprotect mremap munmap madvise mincore msync mlock mlock2 munlock membarrier pkey_alloc pkey_free "
    "pkey_mprotect "
    // threads, signals, time
    "futex futex_waitv futex_wait futex_wake futex_requeue set_robust_list get_robust_list set_tid_address rseq "
    "arch_prctl prctl gettid tgkill tkill kill exit exit_group rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack pause alarm "
    "restart_syscall "
    "sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_get_priority_max sched_get_priority_min sched_rr_get_interval getcpu nanosleep clock_nanosleep "
    "clock_gettime clock_getres gettimeofday time times timer_create timer_delete timer_getoverrun timer_gettime "
    "timer_settime timerfd_create timerfd_gettime timerfd_settime getitimer setitimer "
    // waiting
    "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd "
    "eventfd2 signalfd signalfd4 pipe pipe2 "
    // sockets that it has, and local ones
    "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg "
    "sendto setsockopt shutdown socketpair "
    // itself
    "capget capset getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid "
    "getrlimit getrusage getsid getuid getrandom prlimit64 setrlimit setpriority setpgid setsid sysinfo uname wait4 "
    "waitid pidfd_open pidfd_send_signal seccomp";
constexpr const char* kAllowedToExec = "execve execveat fork vfork";

constexpr std::uint64_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), &seccomp_release) {}
  bool good() const { return context_ != nullptr && failure_ == 0; }
  int failure() const { return failure_; }

  void allow(const std::string& name) { rule(SCMP_ACT_ALLOW, name, {}); }
  void allow(const std::string& name, scmp_arg_cmp when) { rule(SCMP_ACT_ALLOW, name, {when}); }
  void fail_with(int number, const std::string& name) { rule(SCMP_ACT_ERRNO(static_cast<unsigned>(number)), name, {}); }
  void load() { note(seccomp_load(context_.get())); }

 private:
  void rule(std::uint32_t action, const std::string& name, std::initializer_list<scmp_arg_cmp> when) {
    if (context_ == nullptr) return;
    const int number = seccomp_syscall_resolve_name(name.c_str());
    // Not of this machine, or newer than the library.
    if (number == __NR_SCMP_ERROR || number < 0) return;
    note(seccomp_rule_add_array(context_.get(), action, number, static_cast<unsigned>(when.size()), when.begin()));
  }
  void note(int result) {
    if (result < 0 && failure_ == 0) failure_ = -result;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int failure_ = 0;
};

void allow_all(Filter& filter, const char* names) {
  std::istringstream words(names);
  for (std::string name; words >> name;) filter.allow(name);
}

}  // namespace

Result<void> filter_syscalls(bool net, bool exec) {
  Filter filter;
  allow_all(filter, kAllowed);
  if (exec) allow_all(filter, kAllowedToExec);
  const std::uint64_t judged = exec ? kNamespaces : kNamespaces | CLONE_THREAD;
  const std::uint64_t wanted = exec ? 0 : CLONE_THREAD;
  filter.allow("clone", scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, judged, wanted});
  // glibc falls back to clone on ENOSYS only; clone3's flags lie in memory where a filter can't look.
  filter.fail_with(ENOSYS, "clone3");
  filter.allow("socket", scmp_arg_cmp{0, SCMP_CMP_EQ, AF_UNIX, 0});
  if (net)
    for (const int family : {AF_INET, AF_INET6, AF_NETLINK})
      filter.allow("socket", scmp_arg_cmp{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0});
  if (filter.good()) filter.load();
  if (!filter.good()) return errno_error(filter.failure(), "seccomp");
  return {};
}

}  // namespace flynn::core
