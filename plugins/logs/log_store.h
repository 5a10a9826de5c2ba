// LogStore: the logs of all apps.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app_log.h"

namespace flynn::logs {

/// Below `folder`, one folder an app. One instance at a time may have a folder loaded. Thread: [any].
class LogStore {
 public:
  /// Touches nothing before load().
  LogStore(std::string folder, AppLogLimits limits) : folder_(std::move(folder)), limits_(limits) {}
  static Result<std::unique_ptr<LogStore>> open(const std::string& folder, AppLogLimits limits);
  /// Looks which logs there are. Again, after another instance has had them: logs that were given out are closed.
  Result<void> load();

  /// The log of an app, made when it is the first time. Shared: a reader may still hold it when the app goes.
  /// invalid_argument: no app id.
  Result<std::shared_ptr<AppLog>> log_of(const std::string& app_id);
  /// Null when there is none.
  std::shared_ptr<AppLog> find(const std::string& app_id);
  void erase(const std::string& app_id);
  std::vector<std::string> apps();
  std::uint64_t bytes();

 private:
  const std::string folder_;
  const AppLogLimits limits_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<AppLog>> logs_;  // null: on disk, not opened yet
};

}  // namespace flynn::logs
