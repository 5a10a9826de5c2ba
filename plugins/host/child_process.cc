#include "child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>

#include "flynn/sdk/unique_fd.h"

namespace flynn::host {
namespace {

constexpr std::size_t kOutputBytesMax = 64 * 1024;
// Above every number a plan asks for, so that no dup2 in the child overwrites a source.
constexpr int kFirstSourceFd = 20;

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const auto& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

class SpawnSettings {
 public:
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

void set_signals(SpawnSettings& settings, bool new_session) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  posix_spawnattr_setsigdefault(&settings.attributes, &all);
  const int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (new_session ? POSIX_SPAWN_SETSID : 0);
  posix_spawnattr_setflags(&settings.attributes, static_cast<short>(flags));
}

void trim(std::string& text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= 0x20) text.pop_back();
}

}  // namespace

Result<pid_t> spawn_child(const ChildPlan& plan) {
  SpawnSettings settings;
  std::vector<UniqueFd> sources;
  posix_spawn_file_actions_addopen(&settings.actions, 0, "/dev/null", O_RDONLY, 0);
  for (const auto& [ours, number] : plan.fds) {
    sources.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, kFirstSourceFd));
    if (!sources.back()) return errno_error(errno, "duplicate a descriptor for " + plan.args.front());
    posix_spawn_file_actions_adddup2(&settings.actions, sources.back().get(), number);
  }
  set_signals(settings, plan.new_session);
  std::vector<std::string> variables;
  for (const auto& [name, value] : plan.env) variables.push_back(name + "=" + value);
  auto args = pointers(plan.args), env = pointers(variables);
  pid_t pid = 0;
  const int code =
      ::posix_spawn(&pid, plan.args.front().c_str(), &settings.actions, &settings.attributes, args.data(), env.data());
  if (code != 0) return errno_error(code, "start " + plan.args.front());
  return pid;
}

Result<int> wait_child(pid_t pid, Deadline deadline) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  bool late = false;
  if (pidfd) {
    pollfd entry{pidfd.get(), POLLIN, 0};
    int ready = 0;
    do {
      ready = ::poll(&entry, 1, deadline.left_ms());
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
      late = true;
      ::kill(pid, SIGKILL);
    }
  }
  int status = 0;
  pid_t got = 0;
  do {
    got = ::waitpid(pid, &status, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno_error(errno, "wait for a child");
  if (late) return Error{Code::deadline_exceeded, "did not end in time and was killed"};
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Result<ChildOutcome> run_child(ChildPlan plan, Deadline deadline) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
  UniqueFd reader(ends[0]), writer(ends[1]);
  plan.fds.emplace_back(writer.get(), 1);
  plan.fds.emplace_back(writer.get(), 2);
  auto pid = spawn_child(plan);
  if (!pid) return pid.error();
  writer.reset();
  ChildOutcome outcome;
  // A grandchild may keep the pipe open: the deadline bounds the reading as well.
  while (true) {
    pollfd entry{reader.get(), POLLIN, 0};
    const int ready = ::poll(&entry, 1, deadline.left_ms());
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    char chunk[4096];
    const auto got = ::read(reader.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (outcome.output.size() < kOutputBytesMax) outcome.output.append(chunk, static_cast<std::size_t>(got));
  }
  auto status = wait_child(*pid, deadline);
  if (!status) return status.error().context(plan.args.front());
  outcome.status = *status;
  trim(outcome.output);
  return outcome;
}

}  // namespace flynn::host
