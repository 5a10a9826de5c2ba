#include "dev_command.h"

#include <poll.h>
#include <spawn.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "admin_call.h"
#include "elf_probe.h"
#include "flynn/sdk/clock.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"
#include "help.h"

extern char** environ;

namespace flynn::authoring {
namespace {

namespace fs = std::filesystem;
constexpr const char* kUsage = "usage: flynn-plugin dev [DIR] [--slot SLOT]\n";
// An editor writes a file in several steps.
constexpr int kSettleMs = 150, kLogEveryMs = 300;
// Then a build that was told to end is killed.
constexpr int kBuildEndMs = 5000;

struct Options {
  fs::path folder = ".";
  std::string slot;
};

/// Ctrl-C, SIGTERM and SIGHUP, as a descriptor: what runs meanwhile is ended and nothing is left behind.
class EndSignals {
 public:
  EndSignals() {
    ::sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set_, number);
    ::sigprocmask(SIG_BLOCK, &set_, nullptr);
    fd_.reset(::signalfd(-1, &set_, SFD_CLOEXEC));
  }
  int fd() const { return fd_.get(); }
  bool came() const {
    pollfd entry{fd_.get(), POLLIN, 0};
    return ::poll(&entry, 1, 0) > 0;
  }

 private:
  sigset_t set_{};
  UniqueFd fd_;
};

/// Ends its whole group when `ends` come. Returns the exit code.
int run_program(const std::vector<std::string>& words, const fs::path& folder, const EndSignals& ends) {
  std::vector<std::string> copy = words;
  std::vector<char*> pointers;
  for (auto& word : copy) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  const int failure = ::posix_spawnp(&child, pointers[0], &actions, &attributes, pointers.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    std::printf("-----> %s can't be run: %s\n", pointers[0], std::strerror(failure));
    return 127;
  }
  const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  std::array<pollfd, 2> entries{pollfd{ended.get(), POLLIN, 0}, pollfd{ends.fd(), POLLIN, 0}};
  ::poll(entries.data(), entries.size(), -1);
  if (entries[1].revents != 0) {
    ::kill(-child, SIGTERM);
    if (::poll(entries.data(), 1, kBuildEndMs) == 0) ::kill(-child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<std::string> name_in_manifest(const fs::path& folder) {
  std::ifstream file(folder / "manifest.json");
  if (!file) return errno_error(errno, "open " + (folder / "manifest.json").string());
  std::ostringstream text;
  text << file.rdbuf();
  auto document = parse_json_object(text.str());
  if (!document) return document.error().context((folder / "manifest.json").string());
  return require_string(*document, "name");
}

bool build(const fs::path& folder, const EndSignals& ends) {
  const auto made = folder / "build";
  std::vector<std::string> configure{"cmake", "-S", ".", "-B", "build"};
  if (!fs::exists(made / "CMakeCache.txt")) configure.insert(configure.end(), {"-G", "Ninja"});
  // A configuration that failed leaves a cache, and nothing that could be built.
  if (!fs::exists(made / "build.ninja") && !fs::exists(made / "Makefile") && run_program(configure, folder, ends) != 0)
    return false;
  return run_program({"cmake", "--build", "build"}, folder, ends) == 0;
}

std::string name_in(const fs::path& file) {
  const auto facts = core::probe_elf(file);
  const auto manifest = facts ? parse_json_object(facts->manifest_text) : Result<json::object>(facts.error());
  return manifest ? string_or(*manifest, "name") : "";
}

// The newest plugin in build/ that has the manifest's name: its file is called as its target is.
Result<fs::path> built_file(const fs::path& folder) {
  const auto name = name_in_manifest(folder);
  if (!name) return name.error();
  fs::path newest;
  std::string others;
  std::error_code failure;
  for (auto entry = fs::directory_iterator(folder / "build", failure); entry != fs::directory_iterator();
       entry.increment(failure)) {
    if (entry->path().extension() != ".so") continue;
    if (name_in(entry->path()) != *name)
      others += (others.empty() ? "" : ", ") + entry->path().filename().string();
    else if (newest.empty() || fs::last_write_time(newest, failure) < entry->last_write_time(failure))
      newest = entry->path();
  }
  if (!newest.empty()) return fs::absolute(newest);
  return Error{Code::not_found, "no plugin in " + (folder / "build").string() + " has the name \"" + *name +
                                    "\" that manifest.json gives" +
                                    (others.empty() ? "" : " (there is " + others + ")") +
                                    ": what does flynn_add_plugin in CMakeLists.txt build?"};
}

// What becomes of a build.
enum class Turn { done, wait_for_node };

Turn swap(const Options& options, const EndSignals& ends) {
  const auto file = built_file(options.folder);
  if (!file) {
    std::printf("-----> not swapped: %s\n", file.error().message.c_str());
    return Turn::done;
  }
  auto swapped =
      ask_node("plugin.swap", {{"slot", options.slot}, {"path", file->string()}, {"probation_ms", 0}}, ends.fd());
  if (!swapped) {
    const auto& [code, words] = swapped.error();
    const bool away = code == Code::unavailable && !ask_node("status", {}, ends.fd());
    std::printf("-----> not swapped: %s; %s\n", words.c_str(),
                away ? "it will be once the node is back" : "the running version stays");
    return away ? Turn::wait_for_node : Turn::done;
  }
  const auto* to = find_object(*swapped, "to");
  std::printf("-----> %s %s is in force\n", options.slot.c_str(),
              to == nullptr ? "" : string_or(*to, "version").c_str());
  return Turn::done;
}

Turn build_and_swap(const Options& options, const EndSignals& ends) {
  const bool built = build(options.folder, ends);
  if (ends.came()) return Turn::done;
  if (built) return swap(options, ends);
  std::printf("-----> it does not build; the running version stays\n");
  return Turn::done;
}

bool node_is_back(const EndSignals& ends) {
  auto status = ask_node("status", {}, ends.fd());
  return status && bool_or(*status, "booted");
}

// How far a log was shown: several lines may have the same time.
struct Shown {
  std::string at;
  int lines_at = 0;
};

// What it logged since.
void show_log(const std::string& slot, Shown& last, const EndSignals& ends) {
  auto reply = ask_node(
      "call",
      {{"interface", "flynn.node/1"}, {"method", "Log"}, {"body", json::object{{"slot", slot}, {"lines", 200}}}},
      ends.fd());
  if (!reply) return;
  const auto* body = find_object(*reply, "body");
  const auto* lines = body == nullptr ? nullptr : find_array(*body, "lines");
  if (lines == nullptr) return;
  int same = 0;  // lines of last.at that were shown before
  for (const auto& line : *lines) {
    const auto& entry = line.as_object();
    const auto at = string_or(entry, "at");
    if (at < last.at || (at == last.at && same++ < last.lines_at)) continue;
    if (at != last.at) last = {at, 0}, same = 0;
    same = ++last.lines_at;
    std::printf("%s %s %s\n", at.c_str(), string_or(entry, "level").c_str(), string_or(entry, "text").c_str());
  }
}

// Changes below the folder, but for those in build/ and of hidden files.
class Watch {
 public:
  explicit Watch(const fs::path& folder) : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) { add_tree(folder); }
  int fd() const { return fd_.get(); }
  bool take() {
    alignas(inotify_event) std::array<char, 8192> bytes{};
    bool changed = false;
    ssize_t got = 0;
    while ((got = ::read(fd_.get(), bytes.data(), bytes.size())) > 0)
      for (ssize_t at = 0; at < got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(bytes.data() + at);
        if (event->len > 0 && !is_left_out(event->name)) {
          changed = true;
          const auto parent = folders_.find(event->wd);
          if ((event->mask & IN_ISDIR) != 0 && parent != folders_.end()) add_tree(parent->second / event->name);
        }
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    return changed;
  }

 private:
  static bool is_left_out(const std::string& name) { return name == "build" || name.starts_with('.'); }
  void add_tree(const fs::path& folder) {
    add(folder);
    std::error_code failure;
    for (auto entry = fs::recursive_directory_iterator(folder, failure); entry != fs::recursive_directory_iterator();
         entry.increment(failure)) {
      if (!entry->is_directory(failure)) continue;
      if (is_left_out(entry->path().filename().string()))
        entry.disable_recursion_pending();
      else
        add(entry->path());
    }
  }
  void add(const fs::path& folder) {
    const int watched = ::inotify_add_watch(fd_.get(), folder.c_str(),
                                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE);
    if (watched >= 0) folders_[watched] = folder;
  }
  std::map<int, fs::path> folders_;
  UniqueFd fd_;
};

}  // namespace

int run_dev(const std::vector<std::string>& arguments) {
  if (asks_for_help(arguments)) return std::fputs(kUsage, stdout), 0;
  Options options;
  bool named = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--slot" && i + 1 < arguments.size())
      options.slot = arguments[++i];
    else if (!arguments[i].starts_with("-") && !named)
      options.folder = arguments[i], named = true;
    else
      return std::fprintf(stderr, "flynn-plugin: \"%s\" is not understood\n%s", arguments[i].c_str(), kUsage), 64;
  }
  auto name = name_in_manifest(options.folder);
  if (!name) return std::fprintf(stderr, "flynn-plugin: %s\n", name.error().message.c_str()), 1;
  if (options.slot.empty()) options.slot = *name;
  auto slot = ask_node("plugin.inspect", {{"slot", options.slot}});
  if (!slot) {
    std::fprintf(stderr, "flynn-plugin: %s\n", slot.error().message.c_str());
    if (slot.error().code == Code::not_found)
      std::fprintf(stderr, "The node's configuration needs the slot once: [plugins.%s] path = \"%s\"\n",
                   options.slot.c_str(), fs::absolute(options.folder / "build" / (*name + ".so")).c_str());
    return 1;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // into a pipe or a file too, and in order with what a build prints
  const EndSignals ends;
  Watch watch(options.folder);
  Shown last{now_rfc3339()};
  auto turn = build_and_swap(options, ends);
  if (ends.came()) return 0;
  std::printf("-----> watching %s; Ctrl-C ends\n", options.folder.c_str());
  while (true) {
    show_log(options.slot, last, ends);
    std::array<pollfd, 2> entries{pollfd{ends.fd(), POLLIN, 0}, pollfd{watch.fd(), POLLIN, 0}};
    ::poll(entries.data(), entries.size(), kLogEveryMs);
    if (entries[0].revents != 0) return 0;
    if (!fs::exists(options.folder))
      return std::fprintf(stderr, "flynn-plugin: %s is no more; the running version stays\n", options.folder.c_str()),
             1;
    if (entries[1].revents != 0 && watch.take()) {
      ::poll(nullptr, 0, kSettleMs);
      (void)watch.take();
      std::printf("-----> changed, building\n");
      turn = build_and_swap(options, ends);
    } else if (turn == Turn::wait_for_node && node_is_back(ends)) {
      turn = swap(options, ends);
    }
  }
}

}  // namespace flynn::authoring
