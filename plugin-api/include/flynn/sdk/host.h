// Host: what the plugin host offers an instance, and the door to the other plugins.
#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "flynn/sdk/call.h"

namespace flynn {

using namespace std::chrono_literals;

/// Anything that answers calls: the door, or a test's stand-in for it. Thread: [any].
class Door {
 public:
  virtual ~Door() = default;
  /// Blocks until answered or the deadline has passed. `fds` are borrowed. Errors: what the provider says,
  /// `unavailable` while there is none (retry), `permission_denied` when the manifest does not require the interface.
  virtual Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body,
                             Deadline deadline, const std::vector<int>& fds) = 0;

  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body,
                     std::chrono::milliseconds timeout = 30s) {
    return call(interface, method, body, Deadline::after(timeout), {});
  }
};

enum class LogLevel : int {
  debug = FLYNN_LOG_DEBUG,
  info = FLYNN_LOG_INFO,
  warn = FLYNN_LOG_WARN,
  error = FLYNN_LOG_ERROR
};

/// Where log lines go; a test may collect them. Thread: [any].
class Log {
 public:
  virtual ~Log() = default;
  /// One line per event: write(LogLevel::warn, "lease_lost", {{"job", id}}). Never a secret, never an env value.
  virtual void write(LogLevel level, std::string_view event, const json::object& fields) = 0;

  void debug(std::string_view event, const json::object& fields = {}) { write(LogLevel::debug, event, fields); }
  void info(std::string_view event, const json::object& fields = {}) { write(LogLevel::info, event, fields); }
  void warn(std::string_view event, const json::object& fields = {}) { write(LogLevel::warn, event, fields); }
  void error(std::string_view event, const json::object& fields = {}) { write(LogLevel::error, event, fields); }
};

struct InstanceInfo {
  std::string slot, version, node, data_dir, run_dir;
  std::int64_t generation = 0;
};

/// The host as an instance sees it. Borrows the ABI table, which lives until the instance is destroyed. Thread: [any].
class Host : public Door, public Log {
 public:
  explicit Host(const flynn_host* table) : table_(table) {}

  using Door::call;
  using Log::info;
  Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                     const std::vector<int>& fds) override;
  void write(LogLevel level, std::string_view event, const json::object& fields) override;
  /// A duplicate of the listening socket lent under `name`. Never shutdown(2) it. Of a range of ports, the name is
  /// "NAME:PORT": bound when first lent, the same socket ever after; `not_found` outside the range. Such a one may be
  /// shut down by SHUT_RD: its clients are refused until it is lent again.
  Result<UniqueFd> listener(std::string_view name);
  Result<InstanceInfo> info();

 private:
  const flynn_host* table_;
};

}  // namespace flynn
