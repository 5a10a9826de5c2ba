#include "check_command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "checks.h"

extern char** environ;

namespace flynn::authoring {
namespace {

constexpr const char* kUsage =
    "usage: flynn-plugin check FILE.so [--with PROVIDER.so]… [--config FILE.json] [--seed N] [--only NAME]\n"
    "                          [--only-failed] [--json]\n"
    "--with gives what the plugin requires (a store, say). Each check runs in a process of its own.\n";
constexpr int kVerdictFd = 3;
constexpr auto kCheckTime = std::chrono::seconds(120);

struct Options {
  Trial trial;
  std::vector<std::string> words;  // as given, for the child
  std::string only;
  bool json = false, only_failed = false;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return errno_error(errno, "open " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  options.trial.seed = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  options.words = arguments;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& word = arguments[i];
    const auto value = [&]() -> Result<std::string> {
      if (++i < arguments.size()) return arguments[i];
      return Error{Code::invalid_argument, word + " wants a value"};
    };
    if (word == "--json") {
      options.json = true;
    } else if (word == "--only-failed") {
      options.only_failed = true;
    } else if (word == "--with" || word == "--config" || word == "--seed" || word == "--only") {
      auto given = value();
      if (!given) return given.error();
      if (word == "--with") options.trial.with.emplace_back(*given);
      if (word == "--only") options.only = *given;
      if (word == "--seed") options.trial.seed = std::strtoull(given->c_str(), nullptr, 10);
      if (word == "--config") {
        auto text = read_file(*given);
        if (!text) return text.error();
        options.trial.config_json = *text;
      }
    } else if (word.starts_with("-") || !options.trial.plugin.empty()) {
      return Error{Code::invalid_argument, "\"" + word + "\" is not understood"};
    } else {
      options.trial.plugin = word;
    }
  }
  if (options.trial.plugin.empty()) return Error{Code::invalid_argument, "which FILE.so?"};
  return options;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return "it brought the process down: signal " + std::to_string(WTERMSIG(status)) +
           (name == nullptr ? "" : " (SIG" + std::string(name) + ")");
  }
  return "it ended the process with exit code " + std::to_string(WEXITSTATUS(status));
}

Verdict verdict_of(const std::string& text, int status) {
  auto document = parse_json_object(text);
  if (!document) return {Verdict::Outcome::fail, how_it_ended(status)};
  const auto outcome = string_or(*document, "outcome");
  return {outcome == "pass"   ? Verdict::Outcome::pass
          : outcome == "skip" ? Verdict::Outcome::skip
                              : Verdict::Outcome::fail,
          string_or(*document, "words")};
}

Verdict run_in_process(const Options& options, const Check& check) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {Verdict::Outcome::fail, "no pipe"};
  UniqueFd reader(ends[0]), writer(ends[1]);
  std::vector<std::string> words{"flynn-plugin", "check-one", check.name};
  words.insert(words.end(), options.words.begin(), options.words.end());
  words.push_back("--seed");
  words.push_back(std::to_string(options.trial.seed));
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), kVerdictFd);
  pid_t child = -1;
  const int failure = ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return {Verdict::Outcome::fail, errno_error(failure, "start a process").message};
  writer.reset();
  const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd entry{ended.get(), POLLIN, 0};
  const auto limit = static_cast<int>(std::chrono::milliseconds(kCheckTime).count());
  const bool hangs = ::poll(&entry, 1, limit) <= 0;
  if (hangs) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (hangs) return {Verdict::Outcome::fail, "it hung: not done after 120 s"};
  std::string text;
  std::array<char, 4096> chunk{};
  // What the plugin left running may hold the other end: what is there now is all.
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  for (ssize_t got = 0; (got = ::read(reader.get(), chunk.data(), chunk.size())) > 0;)
    text.append(chunk.data(), static_cast<std::size_t>(got));
  return verdict_of(text, status);
}

const char* word_of(Verdict::Outcome outcome) {
  return outcome == Verdict::Outcome::pass ? "pass" : outcome == Verdict::Outcome::skip ? "skip" : "FAIL";
}

}  // namespace

int run_check(const std::vector<std::string>& arguments) {
  auto options = parse(arguments);
  if (!options) return std::fprintf(stderr, "flynn-plugin: %s\n%s", options.error().message.c_str(), kUsage), 64;
  if (::access(options->trial.plugin.c_str(), R_OK) != 0)
    return std::fprintf(stderr, "flynn-plugin: %s\n",
                        errno_error(errno, "open " + options->trial.plugin.string()).message.c_str()),
           1;
  json::array report;
  int failed = 0, passed = 0, left_out = 0;
  for (const auto& check : checks_for(options->trial)) {
    if (!options->only.empty() && check.name != options->only) continue;
    const auto verdict = run_in_process(*options, check);
    failed += verdict.outcome == Verdict::Outcome::fail ? 1 : 0;
    passed += verdict.outcome == Verdict::Outcome::pass ? 1 : 0;
    left_out += verdict.outcome == Verdict::Outcome::skip ? 1 : 0;
    report.push_back(
        json::object{{"check", check.name},
                     {"title", check.title},
                     {"outcome", verdict.outcome == Verdict::Outcome::fail ? "fail" : word_of(verdict.outcome)},
                     {"words", verdict.words}});
    const bool shown = !options->only_failed || verdict.outcome == Verdict::Outcome::fail;
    if (options->json || !shown) continue;
    std::printf("%s  %s%s%s\n", word_of(verdict.outcome), check.title.c_str(), verdict.words.empty() ? "" : ": ",
                verdict.words.c_str());
    std::fflush(stdout);
  }
  if (options->json)
    std::printf("%s\n", json::serialize(json::object{{"plugin", options->trial.plugin.string()},
                                                     {"seed", options->trial.seed},
                                                     {"checks", std::move(report)}})
                            .c_str());
  else
    std::printf("%d passed, %d failed, %d skipped\n", passed, failed, left_out);
  return failed == 0 ? 0 : 1;
}

int run_one_check(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return 64;
  auto options = parse({arguments.begin() + 1, arguments.end()});
  if (!options) return 64;
  ::fcntl(kVerdictFd, F_SETFD, FD_CLOEXEC);
  std::signal(SIGPIPE, [](int) {});  // as the host
  for (const auto& check : checks_for(options->trial)) {
    if (check.name != arguments[0]) continue;
    const auto verdict = check.run(options->trial);
    const auto text = json::serialize(
        json::object{{"outcome", verdict.outcome == Verdict::Outcome::fail ? "fail" : word_of(verdict.outcome)},
                     {"words", verdict.words}});
    [[maybe_unused]] const auto written = ::write(kVerdictFd, text.data(), text.size());
    // Zombies may still run in images that exit handlers would destroy under them.
    ::_exit(0);
  }
  return 64;
}

}  // namespace flynn::authoring
