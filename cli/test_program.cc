#include "test_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "flynn/sdk/unique_fd.h"

namespace flynn::cli::testing {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kDeadline{30};

std::pair<UniqueFd, UniqueFd> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Reads what there is; closes at the end.
void take(UniqueFd& fd, std::string& into) {
  std::array<char, 65536> bytes;
  const ssize_t count = read(fd.get(), bytes.data(), bytes.size());
  if (count > 0) into.append(bytes.data(), static_cast<std::size_t>(count));
  if (count <= 0) fd.reset();
}

void give(UniqueFd& fd, std::string& rest) {
  const ssize_t count = write(fd.get(), rest.data(), rest.size());
  if (count > 0) rest.erase(0, static_cast<std::size_t>(count));
  if (count < 0 || rest.empty()) fd.reset();
}

std::vector<std::string> flynn_line(const std::vector<std::string>& args) {
  std::vector<std::string> line{FLYNN_CLI_PROGRAM};
  line.insert(line.end(), args.begin(), args.end());
  return line;
}

}  // namespace

Program::Program() {
  std::string pattern = std::filesystem::temp_directory_path() / "flynn-cli-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = pattern;
  environment_ = {{"HOME", folder_}, {"FLYNNRC", folder_ + "/flynnrc"}, {"PATH", "/usr/bin:/bin"}};
}

Program::~Program() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Outcome Program::run(const std::vector<std::string>& args, const std::string& input) const {
  return run_with(flynn_line(args), input, 0);
}

Outcome Program::run_and_signal(const std::vector<std::string>& args, int signal) const {
  return run_with(flynn_line(args), "", signal);
}

Outcome Program::run_other(const std::vector<std::string>& line) const { return run_with(line, "", 0); }

Outcome Program::run_with(std::vector<std::string> words, const std::string& input, int signal) const {
  auto [in_read, in_write] = make_pipe();
  auto [out_read, out_write] = make_pipe();
  auto [err_read, err_write] = make_pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in_read.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, out_write.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, err_write.get(), 2);
  posix_spawn_file_actions_addchdir_np(&actions, folder_.c_str());

  std::vector<std::string> pairs;
  for (const auto& [name, value] : environment_) pairs.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& pair : pairs) envp.push_back(pair.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_t child = 0;
  const int spawned = posix_spawnp(&child, words.front().c_str(), &actions, nullptr, argv.data(), envp.data());
  if (spawned == ENOENT) return {127, "", words.front() + " is not installed"};
  if (spawned != 0) throw std::runtime_error("spawn");
  posix_spawn_file_actions_destroy(&actions);
  in_read.reset();
  out_write.reset();
  err_write.reset();
  std::signal(SIGPIPE, SIG_IGN);

  Outcome outcome;
  std::string rest = input;
  if (rest.empty() && signal == 0) in_write.reset();
  if (in_write) fcntl(in_write.get(), F_SETFL, O_NONBLOCK);
  const auto deadline = steady_clock::now() + kDeadline;
  bool late = false;
  while ((out_read || err_read) && !late) {
    std::array<pollfd, 3> polled{
        {{out_read.get(), POLLIN, 0}, {err_read.get(), POLLIN, 0}, {rest.empty() ? -1 : in_write.get(), POLLOUT, 0}}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    late = left <= 0 || poll(polled.data(), polled.size(), static_cast<int>(left)) == 0;
    if (polled[0].revents != 0) take(out_read, outcome.out);
    if (polled[1].revents != 0) take(err_read, outcome.err);
    if (signal != 0 && !outcome.out.empty()) kill(child, std::exchange(signal, 0));
    if (polled[2].revents != 0) give(in_write, rest);
  }
  if (late) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

}  // namespace flynn::cli::testing
