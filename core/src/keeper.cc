#include "keeper.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "listeners.h"
#include "node_config.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryMin = 100ms;
constexpr auto kRetryMax = 5000ms;
constexpr auto kSteadyAfter = 10s;  // a host that ran this long had a good start

volatile std::sig_atomic_t stop_asked = 0;
volatile std::sig_atomic_t child_pid = 0;

void pass_on(int signal) {
  stop_asked = 1;
  if (child_pid > 0) ::kill(static_cast<pid_t>(child_pid), signal);
}

void take_signals() {
  struct sigaction action {};
  action.sa_handler = pass_on;  // no SA_RESTART: waitpid must come back
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
}

pid_t start_host(const std::filesystem::path& config_file, const Listeners& listeners) {
  const std::string config = config_file.string();
  const std::vector<const char*> argv{"flynn-host", "host", "--config", config.c_str(), nullptr};
  const pid_t keeper = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != keeper) ::_exit(1);
  listeners.keep_over_exec();
  ::execv("/proc/self/exe", const_cast<char* const*>(argv.data()));
  ::_exit(127);
}

// Sleeps unless asked to stop: the signal handler ends the poll.
void wait_before_restart(std::chrono::milliseconds span) {
  if (stop_asked == 0) ::poll(nullptr, 0, static_cast<int>(span.count()));
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return "exit code " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status));
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
  }
  return status;
}

}  // namespace

int run_keeper(const std::filesystem::path& config_file) {
  auto config = load_node_config(config_file);
  if (!config) return std::fprintf(stderr, "flynn-host: %s\n", config.error().message.c_str()), 1;
  auto listeners = Listeners::open(config->listeners);
  if (!listeners) return std::fprintf(stderr, "flynn-host: %s\n", listeners.error().message.c_str()), 1;
  ::setenv(kListenersVariable, listeners->environment_text().c_str(), 1);
  take_signals();
  auto retry = std::chrono::milliseconds(kRetryMin);
  while (true) {
    const auto started = std::chrono::steady_clock::now();
    const pid_t pid = start_host(config_file, *listeners);
    if (pid < 0) return std::perror("flynn-host: fork"), 1;
    child_pid = pid;
    if (stop_asked != 0) ::kill(pid, SIGTERM);  // asked between the fork and the line above
    const int status = wait_for(pid);
    child_pid = 0;
    if (stop_asked != 0) return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    // An orderly end without a signal of ours is the operator's shutdown.
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    const bool steady = std::chrono::steady_clock::now() - started > kSteadyAfter;
    retry = steady ? std::chrono::milliseconds(kRetryMin) : std::min(retry * 2, std::chrono::milliseconds(kRetryMax));
    std::fprintf(stderr, "flynn-host: the host process ended (%s), starting it again in %lld ms\n",
                 how_it_ended(status).c_str(), static_cast<long long>(retry.count()));
    wait_before_restart(retry);
    if (stop_asked != 0) return 0;
  }
}

}  // namespace flynn::core
