#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

extern char** environ;

namespace flynn::e2e {
namespace {

struct Prepared {
  std::vector<char*> argv, envp;
  std::vector<std::string> env;
};

// Everything that allocates happens before fork.
Prepared prepare(const Args& args, const RunOptions& options) {
  Prepared made;
  for (const auto& arg : args) made.argv.push_back(const_cast<char*>(arg.c_str()));
  made.argv.push_back(nullptr);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!options.env.contains(text.substr(0, text.find('=')))) made.env.push_back(text);
  }
  for (const auto& [name, value] : options.env) made.env.push_back(name + "=" + value);
  for (auto& text : made.env) made.envp.push_back(text.data());
  made.envp.push_back(nullptr);
  return made;
}

pid_t spawn(const Args& args, const RunOptions& options, int in, int out) {
  auto prepared = prepare(args, options);
  const UniqueFd errors(
      options.errors.empty() ? -1 : ::open(options.errors.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::setpgid(0, 0);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(errors ? errors.get() : out, 2);
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
  ::execvpe(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  ::_exit(127);
}

int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

int patience() {
  const char* times = std::getenv("FLYNN_TEST_PATIENCE");
  return times == nullptr ? 1 : std::clamp(std::atoi(times), 1, 100);
}

void pause_for_poll() { ::poll(nullptr, 0, 20); }

Outcome run(const Args& args, const RunOptions& options) {
  std::array<int, 2> out_pipe{}, in_pipe{};
  if (::pipe2(out_pipe.data(), O_CLOEXEC) != 0 || ::pipe2(in_pipe.data(), O_CLOEXEC) != 0) return {};
  UniqueFd out(out_pipe[0]), out_child(out_pipe[1]), in_child(in_pipe[0]), in(in_pipe[1]);
  const pid_t pid = spawn(args, options, in_child.get(), out_child.get());
  out_child.reset();
  in_child.reset();
  [[maybe_unused]] const auto fed = ::write(in.get(), options.input.data(), options.input.size());
  in.reset();

  Outcome outcome;
  const auto end = std::chrono::steady_clock::now() + options.timeout * patience();
  std::array<char, 16384> chunk{};
  bool expired = false;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd entry{out.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) == 0) {
      expired = true;
      break;
    }
    const ssize_t got = ::read(out.get(), chunk.data(), chunk.size());
    if (got <= 0) break;
    outcome.out.append(chunk.data(), static_cast<std::size_t>(got));
  }
  if (expired) ::kill(-pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  outcome.exit_code = expired ? -1 : exit_code_of(status);
  if (expired) outcome.out += "\n[killed: " + args[0] + " did not end within its time]\n";
  return outcome;
}

Background Background::start(const Args& args, const RunOptions& options, const std::string& log) {
  UniqueFd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Background made;
  made.pid_ = spawn(args, options, null.get(), out.get());
  return made;
}

Background& Background::operator=(Background&& other) noexcept {
  stop(30s);
  pid_ = std::exchange(other.pid_, -1);
  return *this;
}

bool Background::alive() const {
  if (pid_ <= 0) return false;
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

void Background::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool Background::stop(std::chrono::seconds grace) {
  if (pid_ <= 0) return true;
  signal(SIGTERM);
  const bool orderly = eventually(grace, [this] { return !alive(); });
  if (!orderly) signal(SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return orderly;
}

}  // namespace flynn::e2e
