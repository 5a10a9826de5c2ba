/* flynn-init: two small duties in one static program.
 *
 * As PID 1 of a job (called with "--" and a command): starts the command in a process group of its own, passes signals on
 * to that group, reaps orphans, and ends with the command's status, 128+N for a signal. Without it an application would be
 * PID 1 and the kernel would drop every signal that it does not handle.
 *
 * As a wrapper of the OCI runtime (called with "--runtime", a program and its arguments): enters a mount namespace of its
 * own in which the v2 tree of a hybrid cgroup layout is not mounted, then becomes the runtime. crun refuses the hybrid
 * layout otherwise. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char* doing, int code) {
  fprintf(stderr, "flynn-init: %s: %s\n", doing, strerror(errno));
  return code;
}

static int become_runtime(char** argv) {
  if (unshare(CLONE_NEWNS) != 0) return fail("make a mount namespace", 125);
  if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) return fail("make mounts private", 125);
  if (umount2("/sys/fs/cgroup/unified", MNT_DETACH) != 0) return fail("unmount the unified cgroup tree", 125);
  execv(argv[0], argv);
  return fail(argv[0], 127);
}

static void start_command(char** argv, const sigset_t* mask, int has_tty) {
  setpgid(0, 0);
  if (has_tty) tcsetpgrp(STDIN_FILENO, getpgrp());
  signal(SIGTTOU, SIG_DFL);
  signal(SIGTTIN, SIG_DFL);
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(argv[0], argv);
  _exit(fail(argv[0], errno == ENOENT ? 127 : 126));
}

/* The status of `main_child` once it has ended, else -1. */
static int reap(pid_t main_child) {
  int result = -1;
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return result;
    if (pid == main_child) result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

static int run_command(char** argv) {
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  signal(SIGTTOU, SIG_IGN); /* tcsetpgrp from the background would stop us */
  signal(SIGTTIN, SIG_IGN);
  const int has_tty = isatty(STDIN_FILENO);
  const pid_t child = fork();
  if (child < 0) return fail("fork", 125);
  if (child == 0) start_command(argv, &before, has_tty);
  setpgid(child, child); /* both sides do it: whoever comes first */
  for (;;) {
    siginfo_t info;
    const int number = sigwaitinfo(&all, &info);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      kill(-child, number);
      continue;
    }
    const int status = reap(child);
    if (status >= 0) return status;
  }
}

int main(int argc, char** argv) {
  if (argc >= 2 && strcmp(argv[1], "--true") == 0) return 0;
  if (argc >= 3 && strcmp(argv[1], "--runtime") == 0) return become_runtime(argv + 2);
  if (argc >= 3 && strcmp(argv[1], "--") == 0) return run_command(argv + 2);
  fprintf(stderr, "usage: flynn-init -- PROGRAM [ARG...] | flynn-init --runtime PROGRAM [ARG...]\n");
  return 125;
}
