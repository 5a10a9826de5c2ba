#include "footprint.h"

#include <dirent.h>

#include <fstream>
#include <set>

namespace flynn::e2e {

Footprint footprint(pid_t pid) {
  Footprint seen;
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) seen.rss_kb = std::stol(line.substr(6));
    if (line.rfind("RssAnon:", 0) == 0) seen.anonymous_kb = std::stol(line.substr(8));
    if (line.rfind("Threads:", 0) == 0) seen.threads = std::stol(line.substr(8));
  }
  if (DIR* folder = ::opendir(("/proc/" + std::to_string(pid) + "/fd").c_str())) {
    while (::readdir(folder) != nullptr) ++seen.fds;
    ::closedir(folder);
  }
  return seen;
}

int images_mapped(pid_t pid, const std::string& slot) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::set<std::string> files;
  for (std::string line; std::getline(maps, line);) {
    const auto at = line.find("/core/images/" + slot + "/");
    if (at != std::string::npos) files.insert(line.substr(at));
  }
  return static_cast<int>(files.size());
}

}  // namespace flynn::e2e
