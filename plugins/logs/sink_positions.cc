#include "sink_positions.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::logs {

Result<bool> SinkPositions::load() {
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return false;
  if (!file) return errno_error(errno, "open " + path_);
  std::string text;
  std::array<char, 16 * 1024> part;
  ssize_t got = 0;
  while ((got = ::read(file.get(), part.data(), part.size())) > 0)
    text.append(part.data(), static_cast<std::size_t>(got));
  if (got < 0) return errno_error(errno, "read " + path_);
  auto document = parse_json_object(text);
  if (!document) return document.error().context("read " + path_);
  const auto* positions = find_object(*document, "positions");
  if (positions == nullptr) return Error{Code::invalid_argument, "read " + path_ + ": no positions in it"};
  for (const auto& [app_id, value] : *positions)
    if (value.is_int64() && value.get_int64() >= 0) set(app_id, static_cast<std::uint64_t>(value.get_int64()));
  unsaved_ = false;
  return true;
}

Result<void> SinkPositions::save() {
  json::object positions;
  for (const auto& [app_id, position] : confirmed_) positions[app_id] = static_cast<std::int64_t>(position);
  const std::string text = json::serialize(json::object{{"v", 1}, {"positions", std::move(positions)}});
  const std::string fresh = path_ + ".next";
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return errno_error(errno, "make " + fresh);
  const auto written = ::write(file.get(), text.data(), text.size());
  if (written < 0) return errno_error(errno, "write " + fresh);
  if (static_cast<std::size_t>(written) != text.size()) return errno_error(ENOSPC, "write " + fresh);
  if (::fsync(file.get()) != 0) return errno_error(errno, "sync " + fresh);
  if (::rename(fresh.c_str(), path_.c_str()) != 0) return errno_error(errno, "rename to " + path_);
  unsaved_ = false;
  return {};
}

std::uint64_t SinkPositions::next(const std::string& app_id) const {
  const auto found = next_.find(app_id);
  return found == next_.end() ? 0 : found->second;
}

void SinkPositions::set(const std::string& app_id, std::uint64_t position) {
  forget(app_id);
  next_[app_id] = position;
  const std::lock_guard lock(mutex_);
  confirmed_[app_id] = position;
}

void SinkPositions::sent(const std::string& app_id, std::uint64_t position, std::uint64_t written) {
  next_[app_id] = position;
  under_way_.push_back({app_id, position, written});
}

void SinkPositions::confirm(std::uint64_t delivered) {
  const std::lock_guard lock(mutex_);
  for (; !under_way_.empty() && under_way_.front().written <= delivered; under_way_.pop_front()) {
    confirmed_[under_way_.front().app_id] = under_way_.front().position;
    unsaved_ = true;
  }
}

void SinkPositions::rewind() {
  under_way_.clear();
  next_ = confirmed_;
}

void SinkPositions::forget(const std::string& app_id) {
  std::erase_if(under_way_, [&](const UnderWay& entry) { return entry.app_id == app_id; });
  next_.erase(app_id);
  unsaved_ = true;
  const std::lock_guard lock(mutex_);
  confirmed_.erase(app_id);
}

void SinkPositions::forget_others_than(const std::set<std::string>& app_ids) {
  std::set<std::string> gone;
  for (const auto& [app_id, position] : next_)
    if (!app_ids.contains(app_id)) gone.insert(app_id);
  for (const auto& app_id : gone) forget(app_id);
}

std::map<std::string, std::uint64_t> SinkPositions::confirmed() const {
  const std::lock_guard lock(mutex_);
  return confirmed_;
}

}  // namespace flynn::logs
