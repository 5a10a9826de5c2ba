#include "process_figures.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <functional>
#include <memory>
#include <string_view>

namespace flynn::core {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

void each_number(const char* path, const std::function<void(DIR*, int)>& visit) {
  const Folder folder(::opendir(path), &::closedir);
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name(entry->d_name);
    int number = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ec == std::errc()) visit(folder.get(), number);
  }
}

}  // namespace

ProcessFigures read_process_figures() {
  ProcessFigures figures;
  std::int64_t size = 0, resident = 0;
  if (std::ifstream statm("/proc/self/statm"); statm >> size >> resident)
    figures.memory_bytes = resident * ::sysconf(_SC_PAGESIZE);
  each_number("/proc/self/fd", [&](DIR* folder, int fd) {
    struct stat facts {};
    if (fd == ::dirfd(folder) || ::fstat(fd, &facts) != 0) return;
    ++(S_ISSOCK(facts.st_mode) ? figures.sockets : figures.descriptors);
  });
  each_number("/proc/self/task", [&](DIR*, int) { ++figures.threads; });
  return figures;
}

}  // namespace flynn::core
