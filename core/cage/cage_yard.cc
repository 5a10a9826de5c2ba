#include "cage_yard.h"

#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <future>

#include "child.h"
#include "thread_tag.h"

namespace flynn::core {
namespace {

// Threads of a cage that ended may be inside other plugins for a while; how often that is looked at.
constexpr int kLookMs = 1'000;

// What a plugin may know of the host's environment.
std::vector<std::string> environment(const std::string& temp_dir) {
  std::vector<std::string> all{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "TMPDIR=" + temp_dir};
  for (const char* name : {"LANG", "TZ", "ASAN_OPTIONS", "TSAN_OPTIONS"})
    if (const char* value = std::getenv(name)) all.push_back(std::string(name) + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

class SpawnPlan {
 public:
  explicit SpawnPlan(int control) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_adddup2(&actions_, control, kControlFd);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// All processes of one user at once, so that none can start another meanwhile. By a child, which the signal spares.
void kill_all_of(uid_t user) {
  const pid_t child = ::fork();
  if (child == 0) {
    // Not glibc's: that would look for the other threads of its parent.
    if (::syscall(SYS_setresgid, user, user, user) == 0 && ::syscall(SYS_setresuid, user, user, user) == 0)
      ::kill(-1, SIGKILL);
    ::_exit(0);
  }
  if (child > 0) ::waitpid(child, nullptr, 0);
}

}  // namespace

CageYard::CageYard(std::filesystem::path program)
    : program_(std::move(program)), bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

CageYard::~CageYard() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    ended_ = nullptr;
    for (const auto& watched : cages_) watched.cage->kill();
  }
  if (!thread_.joinable()) return;
  ring();
  thread_.join();
}

void CageYard::on_end(std::function<void(const Cage&)> ended) {
  const std::lock_guard lock(mutex_);
  ended_ = std::move(ended);
}

void CageYard::ring() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(bell_.get(), &one, sizeof one);
}

Result<CageYard::Process> CageYard::spawn(const std::string& slot, const std::string& temp_dir, Lane control) {
  std::promise<Result<Process>> promise;
  auto done = promise.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return Error{Code::cancelled, "the node is ending"};
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    asked_.emplace_back([&] {
      std::vector<std::string> args{"flynn-host", "cage", slot}, environs = environment(temp_dir);
      const SpawnPlan plan(control.fd());
      Process process;
      const int failure = ::posix_spawn(&process.pid, program_.c_str(), plan.actions(), plan.attributes(),
                                        pointers(args).data(), pointers(environs).data());
      if (failure != 0) return promise.set_value(errno_error(failure, "start " + program_.string() + " cage " + slot));
      process.pidfd = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
      promise.set_value(std::move(process));
    });
  }
  ring();
  return done.get();
}

void CageYard::watch(const std::shared_ptr<Cage>& cage) {
  {
    const std::lock_guard lock(mutex_);
    cages_.push_back({cage, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, cage->pid(), 0)))});
  }
  ring();
}

// Two versions of a slot share its user while they are swapped: what the last of them leaves behind goes.
void CageYard::end_what_is_left(const Watched& ended) {
  const auto& walls = ended.cage->walls();
  if (!walls.exec || walls.user == 0) return;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& other : cages_)
      if (&other != &ended && !other.reaped && other.cage->walls().user == walls.user) return;
  }
  kill_all_of(walls.user);
}

void CageYard::reap(Watched& watched) {
  siginfo_t facts{};
  if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(watched.pidfd.get()), &facts,
               WEXITED | WNOHANG | WNOWAIT) != 0 ||
      facts.si_pid == 0)
    return;
  // While it is not reaped its number is nobody else's: what it started goes with it.
  ::kill(-watched.cage->pid(), SIGKILL);
  ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(watched.pidfd.get()), &facts, WEXITED | WNOHANG);
  watched.reaped = true;
  end_what_is_left(watched);
  watched.cage->process_ended(facts.si_code, facts.si_status);
}

void CageYard::run() {
  name_this_thread("cages");
  while (true) {
    std::vector<pollfd> entries{{bell_.get(), POLLIN, 0}};
    std::vector<Watched*> watched;
    std::list<std::function<void()>> asked;
    std::list<Watched> at_rest;  // destroyed without the lock: that joins threads
    bool some_rest = false;
    {
      const std::lock_guard lock(mutex_);
      asked.swap(asked_);
      for (auto one = cages_.begin(); one != cages_.end();) {
        const auto next = std::next(one);
        if (one->reaped && one->cage->at_rest()) {
          at_rest.splice(at_rest.end(), cages_, one);
        } else if (one->reaped) {
          some_rest = true;
        } else {
          entries.push_back({one->pidfd.get(), POLLIN, 0});
          watched.push_back(&*one);
        }
        one = next;
      }
      if (ending_ && cages_.empty() && asked.empty()) return;
    }
    at_rest.clear();
    for (const auto& ask : asked) ask();
    if (!asked.empty()) continue;
    if (::poll(entries.data(), entries.size(), some_rest ? kLookMs : -1) < 0) continue;
    std::uint64_t rings = 0;
    [[maybe_unused]] const auto heard = ::read(bell_.get(), &rings, sizeof rings);
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (entries.at(i + 1).revents == 0) continue;
      reap(*watched[i]);
      const auto end = watched[i]->cage->end();
      std::function<void(const Cage&)> ended;
      {
        const std::lock_guard lock(mutex_);
        ended = ended_;
      }
      if (end && !end->expected && ended) ended(*watched[i]->cage);
    }
  }
}

}  // namespace flynn::core
