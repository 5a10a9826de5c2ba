#include "history.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <fstream>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/stream.h"

namespace flynn::core {

Result<std::unique_ptr<History>> History::open(const std::filesystem::path& file) {
  auto history = std::make_unique<History>();
  history->file_ = file;
  history->fd_.reset(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!history->fd_) return errno_error(errno, "open " + file.string());
  return history;
}

void History::add(json::object entry) {
  entry["at"] = now_rfc3339();
  const std::lock_guard lock(mutex_);
  // A full disk must not stop a roll-back: what could not be written is told by the log, which has the same events.
  const auto written = write_all(fd_.get(), json::serialize(entry) + "\n", Deadline::none());
  if (written) ::fsync(fd_.get());
}

json::array History::last(const std::string& slot, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::deque<json::object> kept;
  std::ifstream stream(file_);
  for (std::string line; std::getline(stream, line);) {
    auto entry = parse_json_object(line);
    if (!entry || (!slot.empty() && string_or(*entry, "slot") != slot)) continue;
    kept.push_back(std::move(*entry));
    if (kept.size() > limit) kept.pop_front();
  }
  json::array entries;
  for (auto& entry : kept) entries.push_back(std::move(entry));
  return entries;
}

}  // namespace flynn::core
