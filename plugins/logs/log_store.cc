#include "log_store.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace flynn::logs {

Result<std::unique_ptr<LogStore>> LogStore::open(const std::string& folder, AppLogLimits limits) {
  auto store = std::make_unique<LogStore>(folder, limits);
  if (auto loaded = store->load(); !loaded) return loaded.error();
  return store;
}

Result<void> LogStore::load() {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make folder " + folder_);
  std::map<std::string, std::shared_ptr<AppLog>> there;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, failure))
    if (const auto name = entry.path().filename().string(); is_app_id(name)) there[name] = nullptr;
  if (failure) return Error{Code::internal, "read folder " + folder_ + ": " + failure.message()};
  const std::lock_guard lock(mutex_);
  for (const auto& [app_id, log] : logs_)
    if (log) log->close();
  logs_ = std::move(there);
  return {};
}

Result<std::shared_ptr<AppLog>> LogStore::log_of(const std::string& app_id) {
  if (!is_app_id(app_id))
    return Error{Code::invalid_argument, "member \"app_id\" must be 1 to 64 letters, digits and dashes"};
  const std::lock_guard lock(mutex_);
  auto& log = logs_[app_id];
  if (log) return log;
  auto opened = AppLog::open(folder_ + "/" + app_id, limits_);
  if (!opened) return opened.error().context("open the log of app " + app_id);
  log = std::move(*opened);
  return log;
}

std::shared_ptr<AppLog> LogStore::find(const std::string& app_id) {
  {
    const std::lock_guard lock(mutex_);
    if (!logs_.contains(app_id)) return nullptr;
  }
  auto log = log_of(app_id);
  return log ? *log : nullptr;
}

void LogStore::erase(const std::string& app_id) {
  auto log = find(app_id);
  if (!log) return;
  log->erase();
  const std::lock_guard lock(mutex_);
  logs_.erase(app_id);
}

std::vector<std::string> LogStore::apps() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, log] : logs_) ids.push_back(id);
  return ids;
}

std::uint64_t LogStore::bytes() {
  std::uint64_t sum = 0;
  for (const auto& id : apps())
    if (const auto log = find(id)) sum += log->bytes();
  return sum;
}

}  // namespace flynn::logs
