#include "child_processes.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace flynn::authoring {
namespace {

struct Stat {
  std::string name;
  char state = '?';
  pid_t parent = -1;
};

// "PID (NAME) STATE PARENT …"; the name may have blanks and brackets.
Stat stat_of(const std::filesystem::path& folder) {
  std::ifstream file(folder / "stat");
  std::ostringstream whole;
  whole << file.rdbuf();  // an iterator would throw for a process that has just gone
  const auto text = whole.str();
  const auto begin = text.find('('), end = text.rfind(')');
  if (begin == std::string::npos || end == std::string::npos) return {};
  Stat stat{.name = text.substr(begin + 1, end - begin - 1)};
  std::istringstream(text.substr(end + 1)) >> stat.state >> stat.parent;
  return stat;
}

}  // namespace

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

std::vector<ChildProcess> running_children() {
  std::vector<ChildProcess> children;
  std::error_code failure;
  for (auto entry = std::filesystem::directory_iterator("/proc", failure);
       entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
    const auto name = entry->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    auto stat = stat_of(entry->path());
    if (stat.parent == ::getpid() && stat.state != 'Z' && stat.state != 'X')
      children.push_back({static_cast<pid_t>(std::stol(name)), std::move(stat.name)});
  }
  return children;
}

void end_children() {
  // Each round may bring the children of those that the last one ended.
  do {
    for (const auto& child : running_children()) ::kill(child.pid, SIGKILL);
  } while (::waitpid(-1, nullptr, 0) > 0);
}

}  // namespace flynn::authoring
