// AuditDesk: the keeper's end of the audit log. The host sends entries and gets their numbers; whatever becomes of the
// host, lines are whole.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "audit_file.h"

namespace flynn::core {

/// Thread: one.
class AuditDesk {
 public:
  AuditDesk(std::filesystem::path file, std::string node) : file_(std::move(file)), node_(std::move(node)) {}

  /// A new socket to a new host; the end for that host. What the old one had sent was written.
  Result<UniqueFd> connect();
  /// Readable when the host has sent something.
  int fd() const { return ours_.get(); }
  /// Writes what was sent and answers, until nothing is left. False: the host closed its end.
  bool serve();
  /// The keeper's own entry. A failure goes to standard error.
  void add(json::object entry);
  /// "12 9f86d0…": to be noted where nobody who can write the file can write.
  std::string head_text() const;

 private:
  Result<std::int64_t> append(const json::object& entry);
  std::string answer(std::string_view request);

  std::filesystem::path file_;
  std::string node_;
  std::optional<AuditFile> log_;
  UniqueFd ours_;
};

}  // namespace flynn::core
