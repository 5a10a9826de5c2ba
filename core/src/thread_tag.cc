#include "thread_tag.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>

#include "flynn/sdk/unique_fd.h"

namespace flynn::core {
namespace {

constexpr unsigned long kDefaultSlackNs = 50'000;
constexpr std::uint32_t kTagsMax = 60'000;

/// A short file of /proc; the errno of what failed otherwise.
Result<std::string> read_line(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error(errno, "open " + path);
  std::array<char, 128> buffer{};
  const auto size = ::read(file.get(), buffer.data(), buffer.size());
  if (size < 0) return errno_error(errno, "read " + path);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(size));
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

void tag_this_thread(std::uint32_t tag) { ::prctl(PR_SET_TIMERSLACK, kDefaultSlackNs + tag, 0, 0, 0); }

std::uint32_t thread_tag_here() {
  const long slack = ::prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
  const long tag = slack - static_cast<long>(kDefaultSlackNs);
  return tag > 0 && tag <= static_cast<long>(kTagsMax) ? static_cast<std::uint32_t>(tag) : 0;
}

std::uint32_t next_thread_tag() {
  static std::atomic<std::uint32_t> last{0};
  return last.fetch_add(1) % kTagsMax + 1;
}

Result<std::vector<TaggedThread>> threads_with_tag(std::uint32_t tag) {
  std::vector<TaggedThread> threads;
  const auto wanted = std::to_string(kDefaultSlackNs + tag);
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks(::opendir("/proc/self/task"), &::closedir);
  if (!tasks) return errno_error(errno, "list /proc/self/task");
  const auto self = static_cast<int>(::syscall(SYS_gettid));
  while (const dirent* entry = ::readdir(tasks.get())) {
    const std::string_view name(entry->d_name);
    int tid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), tid).ec != std::errc() || tid == self) continue;
    auto slack = read_line("/proc/" + std::string(name) + "/timerslack_ns");
    if (!slack) {
      if (slack.error().code == Code::permission_denied) return slack.error();
      continue;  // it has ended meanwhile
    }
    if (*slack == wanted) threads.push_back({tid, thread_name(tid)});
  }
  return threads;
}

std::string thread_name(int tid) { return read_line("/proc/self/task/" + std::to_string(tid) + "/comm").value_or("?"); }

void name_this_thread(const std::string& name) { ::prctl(PR_SET_NAME, name.substr(0, 15).c_str(), 0, 0, 0); }

}  // namespace flynn::core
