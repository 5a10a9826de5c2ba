#include "haproxy_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <vector>

extern char** environ;

namespace haproxy_router {
namespace {

flynn::Result<pid_t> spawn(const std::vector<std::string>& words, int listening, int output) {
  std::vector<std::string> copy = words;
  std::vector<char*> pointers;
  for (auto& word : copy) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (listening >= 0) ::posix_spawn_file_actions_adddup2(&actions, listening, 3);
  if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, output, 1);
  if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, output, 2);
  pid_t child = -1;
  const int failure = ::posix_spawn(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return flynn::errno_error(failure, "start " + words[0] + " (Debian's package is haproxy)");
  return child;
}

}  // namespace

std::string complaint_about(const std::string& program, const std::string& config_file, int listening) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
  const flynn::UniqueFd reader(ends[0]);
  flynn::UniqueFd writer(ends[1]);
  auto child = spawn({program, "-c", "-f", config_file}, listening, writer.get());
  writer.reset();
  if (!child) return child.error().message;
  std::string words;
  std::array<char, 1024> chunk{};
  for (ssize_t got = 0; (got = ::read(reader.get(), chunk.data(), chunk.size())) > 0;)
    words.append(chunk.data(), static_cast<std::size_t>(got));
  int status = 0;
  ::waitpid(*child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : "haproxy -c: " + words.substr(0, 2000);
}

flynn::Result<HaproxyProcess> HaproxyProcess::start(const std::string& program, const std::string& config_file,
                                                    int listening) {
  // -db: in the foreground, so that it is our child and ends with us.
  auto child = spawn({program, "-db", "-q", "-f", config_file}, listening, -1);
  if (!child) return child.error();
  HaproxyProcess process;
  process.pid_ = *child;
  process.pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, *child, 0)));
  return process;
}

HaproxyProcess& HaproxyProcess::operator=(HaproxyProcess&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

void HaproxyProcess::finish() const {
  if (pid_ > 0) ::kill(pid_, SIGUSR1);
}

bool HaproxyProcess::wait(flynn::Deadline deadline) {
  if (pid_ <= 0) return true;
  pollfd entry{pidfd_.get(), POLLIN, 0};
  if (::poll(&entry, 1, deadline.is_none() ? -1 : deadline.left_ms()) <= 0) return false;
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
  pidfd_.reset();
  return true;
}

void HaproxyProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  (void)wait(flynn::Deadline::none());
}

}  // namespace haproxy_router
