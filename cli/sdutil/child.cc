#include "child.h"

#include <poll.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

extern char** environ;

namespace flynn::sdutil {
namespace {

constexpr std::array kForwarded{SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
constexpr int kGraceMs = 5'000;

sigset_t forwarded() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : kForwarded) ::sigaddset(&set, number);
  return set;
}

}  // namespace

UniqueFd take_signals() {
  const auto set = forwarded();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int next_signal(int signals) {
  signalfd_siginfo facts{};
  return ::read(signals, &facts, sizeof facts) == sizeof facts ? static_cast<int>(facts.ssi_signo) : 0;
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    stop();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

Result<Child> Child::start(const std::vector<std::string>& words, const std::map<std::string, std::string>& env) {
  std::vector<std::string> arguments = words, variables;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string text(*one);
    if (!env.contains(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  for (const auto& [name, value] : env) variables.push_back(name + "=" + value);
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  };
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  Child child;
  const int failure = ::posix_spawnp(&child.pid_, words.front().c_str(), nullptr, &attributes,
                                     pointers(arguments).data(), pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  if (failure != 0) {
    child.pid_ = -1;
    return errno_error(failure, "run " + words.front());
  }
  child.pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child.pid_, 0)));
  return child;
}

void Child::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int Child::status() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  pidfd_.reset();
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void Child::stop() {
  if (pid_ <= 0) return;
  signal(SIGTERM);
  pollfd ended{pidfd_.get(), POLLIN, 0};
  if (::poll(&ended, 1, kGraceMs) <= 0) signal(SIGKILL);
  (void)status();
}

}  // namespace flynn::sdutil
