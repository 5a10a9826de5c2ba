#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

namespace flynn::process {
namespace {

// Above every number that a child is given, so that no dup2 hits a source that is still needed.
constexpr int kFirstFreeNumber = 64;
constexpr auto kKilledWithin = std::chrono::seconds(10);
constexpr int kReapEveryMs = 5;

int set_up(posix_spawn_file_actions_t& actions, const std::vector<std::pair<int, int>>& fds,
           std::vector<UniqueFd>& moved) {
  for (int number = 0; number <= 2; ++number) {
    if (std::none_of(fds.begin(), fds.end(), [&](const auto& pair) { return pair.second == number; })) {
      if (int failed = posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)) return failed;
    }
  }
  for (const auto& [ours, theirs] : fds) {
    moved.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, kFirstFreeNumber));
    if (!moved.back()) return errno;
    if (int failed = posix_spawn_file_actions_adddup2(&actions, moved.back().get(), theirs)) return failed;
  }
  return 0;
}

int set_up(posix_spawnattr_t& attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  return posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& arguments, const std::vector<std::pair<int, int>>& fds) {
  std::vector<char*> values;
  for (const std::string& argument : arguments) values.push_back(const_cast<char*>(argument.c_str()));
  values.push_back(nullptr);
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C.UTF-8";
  std::array<char*, 3> environment{path, locale, nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  std::vector<UniqueFd> moved;
  Child child;
  int failed = set_up(actions, fds, moved);
  if (failed == 0) failed = set_up(attributes);
  if (failed == 0)
    failed = posix_spawnp(&child.pid_, values[0], &actions, &attributes, values.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    child.pid_ = -1;
    return errno_error(failed, "start " + arguments[0]);
  }
  child.pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0)));
  if (!child.pidfd_) return errno_error(errno, "watch " + arguments[0]);
  return child;
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

void Child::signal_group(int signal) const {
  if (pid_ > 0) ::kill(-pid_, signal);
}

Result<int> Child::wait(Deadline deadline, int stop_fd) {
  if (pid_ <= 0) return Error{Code::internal, "the program was not started"};
  std::array<pollfd, 2> waiting{pollfd{pidfd_.get(), POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
  for (;;) {
    int ready = ::poll(waiting.data(), waiting.size(), deadline.is_none() ? -1 : deadline.left_ms());
    if (waiting[0].revents != 0) break;
    if (waiting[1].revents != 0) return Error{Code::cancelled, "the plugin is being stopped"};
    if (ready == 0) return Error{Code::deadline_exceeded, "the program did not end in time"};
    if (errno != EINTR) return errno_error(errno, "wait for a program");
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  // Whatever it left behind in its group goes with it.
  ::kill(-pid_, SIGKILL);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Child::end() {
  if (pid_ <= 0) return;
  signal_group(SIGKILL);
  ::kill(pid_, SIGKILL);
  const Deadline deadline = Deadline::after(kKilledWithin);
  if (pidfd_) (void)wait(deadline);
  reap(deadline);
}

/// Without a pidfd nothing says that it has ended.
void Child::reap(Deadline deadline) {
  while (pid_ > 0) {
    const pid_t reaped = ::waitpid(pid_, nullptr, WNOHANG);
    if (reaped == pid_ || (reaped < 0 && errno != EINTR) || deadline.passed())
      pid_ = -1;
    else
      ::poll(nullptr, 0, kReapEveryMs);
  }
}

std::string read_to_end(int fd, std::size_t bytes_max) {
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t size = ::read(fd, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(buffer, std::min(static_cast<std::size_t>(size), bytes_max - text.size()));
  }
}

Result<std::pair<UniqueFd, UniqueFd>> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
  return std::pair<UniqueFd, UniqueFd>{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace flynn::process
