#include "keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "audit_desk.h"
#include "audit_log.h"
#include "data_lock.h"
#include "listeners.h"
#include "node_config.h"
#include "restart_plan.h"

namespace flynn::core {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

volatile std::sig_atomic_t stops_asked = 0;

int complain(const std::string& words) {
  std::fprintf(stderr, "flynn-host: %s\n", words.c_str());
  return 1;
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return "exit code " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WTERMSIG(status)) + (WCOREDUMP(status) ? " (core dumped)" : "");
}

// The usual soft limit of 1,024 descriptors is less than a range of ports may need here and in the host, which inherits
// the limit. Nothing changes for a node without ranges.
void make_room_for(unsigned long more) {
  rlimit files{};
  if (more == 0 || ::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  constexpr rlim_t kForTheRest = 1024;
  files.rlim_cur = std::max(files.rlim_cur, std::min(files.rlim_max, more + kForTheRest));
  ::setrlimit(RLIMIT_NOFILE, &files);
}

// Signals come in only while the keeper waits, so that none is lost between a look and the wait.
class Signals {
 public:
  Signals() {
    sigset_t ours;
    ::sigemptyset(&ours);
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD, SIGHUP}) {
      struct sigaction action {};
      // Handlers, not SIG_IGN: that would be inherited by the host and its containers.
      action.sa_handler = [](int number) {
        if (number == SIGTERM || number == SIGINT) stops_asked = stops_asked + 1;
      };
      ::sigaction(signal, &action, nullptr);
      ::sigaddset(&ours, signal);
    }
    ::sigprocmask(SIG_BLOCK, &ours, &before_);
  }
  /// Until something can be read from `fd` (-1: nothing), a signal came or the time is over.
  void wait(int fd, milliseconds span) const {
    pollfd entry{fd, POLLIN, 0};
    const timespec limit{span.count() / 1000, (span.count() % 1000) * 1'000'000};
    ::ppoll(&entry, 1, &limit, &before_);
  }
  void restore_in_child() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

class Keeper {
 public:
  Keeper(std::filesystem::path config_file, DataLock lock, Listeners listeners, AuditDesk desk)
      : config_file_(std::move(config_file)),
        lock_(std::move(lock)),
        listeners_(std::move(listeners)),
        desk_(std::move(desk)) {
    desk_.give_listeners_to(
        [this](const std::string& name, UniqueFd socket) { return listeners_.keep(name, std::move(socket)); });
  }
  int run();

 private:
  bool start();
  int wait_for_end();
  json::object note_of_death(int status, milliseconds ran, milliseconds wait) const;

  std::filesystem::path config_file_;
  DataLock lock_;
  Listeners listeners_;
  AuditDesk desk_;
  Signals signals_;
  RestartPlan plan_;
  pid_t host_ = -1;
  Clock::time_point started_;
};

bool Keeper::start() {
  auto audit = desk_.connect();
  if (!audit) return complain(audit.error().message), false;
  ::setenv(kListenersVariable, listeners_.environment_text().c_str(), 1);
  ::setenv(kAuditVariable, std::to_string(audit->get()).c_str(), 1);
  if (lock_.fd() >= 0) ::setenv(kDataLockVariable, std::to_string(lock_.fd()).c_str(), 1);
  const std::string config = config_file_.string();
  const std::vector<const char*> argv{"flynn-host", "host", "--config", config.c_str(), nullptr};
  const pid_t keeper = ::getpid();
  started_ = Clock::now();
  host_ = ::fork();
  if (host_ < 0) return complain(errno_error(errno, "fork").message), false;
  if (host_ > 0) return true;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != keeper) ::_exit(1);
  signals_.restore_in_child();
  listeners_.keep_over_exec();
  lock_.keep_over_exec();
  ::fcntl(audit->get(), F_SETFD, 0);
  ::execv("/proc/self/exe", const_cast<char* const*>(argv.data()));
  ::_exit(127);
}

int Keeper::wait_for_end() {
  bool audit_open = true;
  int status = 0, stops_passed = 0;
  while (true) {
    const pid_t ended = ::waitpid(host_, &status, WNOHANG);
    if (audit_open) audit_open = desk_.serve();  // also what it sent last
    if (ended == host_) return status;
    if (stops_asked > stops_passed) {
      stops_passed = stops_asked;
      ::kill(host_, SIGTERM);
    }
    signals_.wait(audit_open ? desk_.fd() : -1, std::chrono::hours(1));
  }
}

json::object Keeper::note_of_death(int status, milliseconds ran, milliseconds wait) const {
  return {{"action", "host_died"},
          {"pid", host_},
          {"outcome", how_it_ended(status)},
          {"ran_ms", ran.count()},
          {"restart_in_ms", wait.count()}};
}

int Keeper::run() {
  json::object death;
  while (true) {
    if (!start()) return 1;
    // Written while the new host loads: nobody waits for the disk.
    if (!death.empty()) desk_.add(std::exchange(death, {}));
    desk_.add({{"action", "host_started"}, {"pid", host_}});
    std::fprintf(stderr, "flynn-host: audit log at %s\n", desk_.head_text().c_str());
    const int status = wait_for_end();
    if (stops_asked != 0) return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    // An orderly end without a signal of ours is the operator's shutdown.
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    const auto ran = std::chrono::duration_cast<milliseconds>(Clock::now() - started_);
    const auto wait = plan_.after_run_of(ran);
    death = note_of_death(status, ran, wait);
    std::fprintf(stderr, "flynn-host: the host process ended (%s), starting it again in %lld ms\n",
                 how_it_ended(status).c_str(), static_cast<long long>(wait.count()));
    for (const auto until = Clock::now() + wait; Clock::now() < until && stops_asked == 0;) {
      if (!death.empty()) desk_.add(std::exchange(death, {}));
      signals_.wait(-1, std::chrono::ceil<milliseconds>(until - Clock::now()));
    }
    if (stops_asked != 0) return 0;
  }
}

}  // namespace

int run_keeper(const std::filesystem::path& config_file) {
  auto config = load_node_config(config_file);
  if (!config) return complain(config.error().message);
  auto lock = DataLock::acquire(config->data_dir);
  if (!lock) return complain(lock.error().message);
  auto listeners = Listeners::open(config->listeners);
  if (!listeners) return complain(listeners.error().message);
  make_room_for(listeners->descriptors_wanted());
  AuditDesk desk(audit_file_of(config->data_dir), config->node);
  return Keeper(config_file, std::move(*lock), std::move(*listeners), std::move(desk)).run();
}

}  // namespace flynn::core
