#include "process_figures.h"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace flynn::core {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

void each_number(const std::string& path, const std::function<void(DIR*, int)>& visit) {
  const Folder folder(::opendir(path.c_str()), &::closedir);
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name(entry->d_name);
    int number = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ec == std::errc()) visit(folder.get(), number);
  }
}

}  // namespace

ProcessFigures read_process_figures(int pid) {
  const std::string process = "/proc/" + (pid == 0 ? "self" : std::to_string(pid));
  ProcessFigures figures;
  std::int64_t size = 0, resident = 0;
  if (std::ifstream statm(process + "/statm"); statm >> size >> resident)
    figures.memory_bytes = resident * ::sysconf(_SC_PAGESIZE);
  each_number(process + "/fd", [&](DIR* folder, int fd) {
    // By its name: the descriptor itself is another thread's, who may close it this moment.
    constexpr std::string_view kSocket = "socket:";
    std::array<char, kSocket.size()> target{};
    if (fd == ::dirfd(folder)) return;
    const auto length = ::readlinkat(::dirfd(folder), std::to_string(fd).c_str(), target.data(), target.size());
    if (length < 0) return;
    const bool is_socket = std::string_view(target.data(), static_cast<std::size_t>(length)) == kSocket;
    ++(is_socket ? figures.sockets : figures.descriptors);
  });
  each_number(process + "/task", [&](DIR*, int) { ++figures.threads; });
  return figures;
}

}  // namespace flynn::core
