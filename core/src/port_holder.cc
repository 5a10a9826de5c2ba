#include "port_holder.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace flynn::core {
namespace {

namespace fs = std::filesystem;

// Inodes of the sockets that listen on the port (state 0A of /proc/net/tcp).
std::set<std::string> listening_inodes(unsigned long port) {
  std::set<std::string> inodes;
  for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream table(file);
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
      std::istringstream words(line);
      std::array<std::string, 10> word;
      for (auto& one : word) words >> one;
      const auto colon = word[1].rfind(':');
      if (colon == std::string::npos || word[3] != "0A") continue;
      if (std::strtoul(word[1].c_str() + colon + 1, nullptr, 16) == port) inodes.insert("socket:[" + word[9] + "]");
    }
  }
  return inodes;
}

bool holds_one_of(const fs::path& process, const std::set<std::string>& inodes) {
  std::error_code failure;
  for (fs::directory_iterator fds(process / "fd", failure), end; !failure && fds != end; fds.increment(failure)) {
    std::error_code unreadable;
    if (inodes.contains(fs::read_symlink(fds->path(), unreadable).string())) return true;
  }
  return false;
}

}  // namespace

std::string port_holder(const std::string& port) {
  const auto inodes = listening_inodes(std::strtoul(port.c_str(), nullptr, 10));
  if (inodes.empty()) return {};
  std::error_code failure;
  for (fs::directory_iterator processes("/proc", failure), end; !failure && processes != end;
       processes.increment(failure)) {
    const std::string pid = processes->path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos || !holds_one_of(processes->path(), inodes)) continue;
    std::ifstream comm(processes->path() / "comm");
    std::string name;
    std::getline(comm, name);
    return name + " (pid " + pid + ")";
  }
  return {};
}

}  // namespace flynn::core
