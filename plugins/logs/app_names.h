// AppNames: what the apps of the store are called.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "flynn/sdk/uuid.h"

namespace flynn::logs {

/// Thread: [any].
class AppNames {
 public:
  void replace(std::map<std::string, std::string> names) {
    const std::lock_guard lock(mutex_);
    names_ = std::move(names);
    known_ = true;
  }
  void set(const std::string& app_id, const std::string& name) {
    const std::lock_guard lock(mutex_);
    names_[app_id] = name;
  }
  void erase(const std::string& app_id) {
    const std::lock_guard lock(mutex_);
    names_.erase(app_id);
  }
  /// The id itself for what is no app of the controller's (the platform's own logs) or has no name. nullopt: not known
  /// yet, or an app that is gone; its messages wait.
  std::optional<std::string> name_of(const std::string& app_id) const {
    const std::lock_guard lock(mutex_);
    if (!known_) return std::nullopt;
    const auto found = names_.find(app_id);
    if (found != names_.end()) return found->second.empty() ? app_id : found->second;
    return is_uuid(app_id) ? std::nullopt : std::optional(app_id);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> names_;
  bool known_ = false;
};

}  // namespace flynn::logs
