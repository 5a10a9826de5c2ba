#include "check_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "child_processes.h"

extern char** environ;

namespace flynn::authoring {
namespace {

constexpr int kReportFd = 3;
constexpr std::size_t kDoingBytesMax = 400;

// A folder that the child has as TMPDIR; the name is short because sockets are made below it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "flynn-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const std::string& temporary_folder) {
  std::vector<std::string> variables{"TMPDIR=" + temporary_folder};
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("TMPDIR=")) variables.emplace_back(*entry);
  return variables;
}

Result<pid_t> start(std::vector<std::string> words, int report, const std::string& temporary_folder) {
  words.insert(words.begin(), "flynn-plugin");
  auto variables = environment_with(temporary_folder);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, report, kReportFd);
  // What a plugin prints is to be seen, but not within the verdicts.
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);  // a group of its own
  pid_t child = -1;
  const int failure = ::posix_spawn(&child, "/proc/self/exe", &actions, &attributes, pointers_to(words).data(),
                                    pointers_to(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return errno_error(failure, "start a process for the check");
  return child;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return "it brought the process down: signal " + std::to_string(WTERMSIG(status)) +
           (name == nullptr ? "" : " (SIG" + std::string(name) + ")");
  }
  return "it ended the process with exit code " + std::to_string(WEXITSTATUS(status)) +
         " (a plugin must not call exit, nor close descriptors that are not its own)";
}

std::string report_of(int fd) {
  std::string text;
  std::array<char, 4096> chunk{};
  for (ssize_t got = 0; (got = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(text.size()))) > 0;)
    text.append(chunk.data(), static_cast<std::size_t>(got));
  return text;
}

Verdict verdict_of(const std::string& report, std::string ended) {
  auto document = parse_json_object(report);
  const auto outcome = document ? string_or(*document, "outcome") : "";
  if (outcome == "pass" || outcome == "skip" || outcome == "fail")
    return {outcome == "pass"   ? Verdict::Outcome::pass
            : outcome == "skip" ? Verdict::Outcome::skip
                                : Verdict::Outcome::fail,
            string_or(*document, "words")};
  if (const auto doing = document ? string_or(*document, "doing") : ""; !doing.empty()) ended += ", in " + doing;
  return {Verdict::Outcome::fail, std::move(ended)};
}

// What a plugin says may be no UTF-8, and what it was sent is not on purpose.
std::string readable(const std::string& text) {
  const bool is_utf8 = parse_json(json::serialize(json::value(text))).ok();
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && (byte < 0x80 || is_utf8)) {
      out += c;
      continue;
    }
    constexpr const char* kDigits = "0123456789abcdef";
    out += std::string("\\x") + kDigits[byte >> 4] + kDigits[byte & 15];
  }
  return out;
}

// Ctrl-C, SIGTERM and SIGHUP as a descriptor, so that nothing is left behind.
int end_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// 0, or the signal that is to end this process.
int end_signal(int fd) {
  signalfd_siginfo came{};
  return ::read(fd, &came, sizeof came) == sizeof came ? static_cast<int>(came.ssi_signo) : 0;
}

}  // namespace

Verdict run_check_process(const std::vector<std::string>& words, std::chrono::seconds limit) {
  static const UniqueFd ends(end_signals());
  adopt_orphans();
  std::optional<TemporaryFolder> folder(std::in_place);
  if (folder->path().empty()) return {Verdict::Outcome::fail, errno_error(errno, "make a temporary folder").message};
  const UniqueFd report(::memfd_create("flynn-check", MFD_CLOEXEC));
  if (!report) return {Verdict::Outcome::fail, errno_error(errno, "make the check's report").message};
  auto child = start(words, report.get(), folder->path());
  if (!child) return {Verdict::Outcome::fail, child.error().message};
  const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, *child, 0)));
  std::array<pollfd, 2> entries{pollfd{ended.get(), POLLIN, 0}, pollfd{ends.get(), POLLIN, 0}};
  const bool hangs =
      ::poll(entries.data(), entries.size(), static_cast<int>(std::chrono::milliseconds(limit).count())) <= 0;
  // Before it is reaped, so that the number of its group is still its own.
  ::kill(-*child, SIGKILL);
  int status = 0;
  ::waitpid(*child, &status, 0);
  end_children();  // those that left its group
  if (const int number = end_signal(ends.get()); number != 0) {
    folder.reset();
    ::_exit(128 + number);
  }
  return verdict_of(report_of(report.get()),
                    hangs ? "it hung: not done after " + std::to_string(limit.count()) + " s" : how_it_ended(status));
}

CheckReport::CheckReport() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  adopt_orphans();  // so that a check sees them
  ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC);
}

void CheckReport::write(const std::string& text) {
  [[maybe_unused]] const auto cut = ::ftruncate(kReportFd, 0);
  [[maybe_unused]] const auto written = ::pwrite(kReportFd, text.data(), text.size(), 0);
}

void CheckReport::doing(const std::string& what) {
  const auto shown = what.size() <= kDoingBytesMax ? what : what.substr(0, kDoingBytesMax) + " [and more]";
  write(json::serialize(json::object{{"doing", readable(shown)}}));
}

void CheckReport::verdict(const Verdict& verdict) {
  write(json::serialize(json::object{{"outcome", outcome_name(verdict.outcome)}, {"words", readable(verdict.words)}}));
}

const char* outcome_name(Verdict::Outcome outcome) {
  return outcome == Verdict::Outcome::pass ? "pass" : outcome == Verdict::Outcome::skip ? "skip" : "fail";
}

}  // namespace flynn::authoring
