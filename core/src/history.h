// History: what was done to the plugins of this node, one JSON object a line, never changed.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

/// Thread: [any].
class History {
 public:
  static Result<std::unique_ptr<History>> open(const std::filesystem::path& file);
  /// Adds "at" and writes durably.
  void add(json::object entry);
  /// The newest `limit` entries of the slot (empty: of all), newest last.
  json::array last(const std::string& slot, std::size_t limit) const;

 private:
  mutable std::mutex mutex_;
  std::filesystem::path file_;
  UniqueFd fd_;
};

}  // namespace flynn::core
