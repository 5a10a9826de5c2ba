// AuditLog: what was done to the plugins of this node and by whom, chained, never changed. The keeper writes the file;
// a node without one (a test) writes it itself.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "audit_file.h"
#include "audit_verify.h"
#include "log.h"

namespace flynn::core {

/// Who asks for what this thread does, until the end of the scope; nobody: the core itself.
class ActorScope {
 public:
  explicit ActorScope(json::value who);
  ~ActorScope();
  ActorScope(const ActorScope&) = delete;
  ActorScope& operator=(const ActorScope&) = delete;

 private:
  json::value before_;
};

inline constexpr const char* kAuditVariable = "FLYNN_AUDIT_FD";

/// Thread: [any].
class AuditLog {
 public:
  /// Writes `file` itself.
  static std::unique_ptr<AuditLog> own(std::filesystem::path file, std::string node, EventLog& log);
  /// Asks the keeper at the other end of the socket to write; reads `file`.
  static std::unique_ptr<AuditLog> kept(UniqueFd keeper, std::filesystem::path file, EventLog& log);

  /// Adds "by" (unless it is there), "seq", "at", "prev" and is durable on return. A failure is logged and the work
  /// goes on: a full disk must not stop a roll-back.
  void add(json::object entry);
  Result<std::int64_t> append(json::object entry);
  /// The newest `limit` entries of the slot (empty: of all), newest last.
  json::array last(const std::string& slot, std::size_t limit) const;
  /// Checks the whole file, and that it has what was added here; `expected` as in verify_audit_file.
  Result<AuditVerdict> verify(const std::string& expected) const;

 private:
  explicit AuditLog(EventLog& log) : log_(log) {}
  Result<std::int64_t> write_own(const json::object& entry);
  Result<std::int64_t> ask_keeper(const json::object& entry);

  EventLog& log_;
  std::filesystem::path file_;
  std::string node_;
  mutable std::mutex mutex_;
  std::optional<AuditFile> own_;
  UniqueFd keeper_;
  std::int64_t last_request_ = 0, last_seq_ = 0;
};

}  // namespace flynn::core
