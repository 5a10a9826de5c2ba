// AuditDesk: the keeper's end of the audit log. The host sends entries and gets their numbers; whatever becomes of the
// host, lines are whole. By the same way come the listening sockets that the keeper shall hold from now on.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "audit_file.h"

namespace flynn::core {

/// Thread: one.
class AuditDesk {
 public:
  AuditDesk(std::filesystem::path file, std::string node) : file_(std::move(file)), node_(std::move(node)) {}

  using KeepListener = std::function<Result<void>(const std::string& name, UniqueFd socket)>;
  /// Who takes listening sockets; without it they are closed.
  void give_listeners_to(KeepListener keep) { keep_ = std::move(keep); }

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
  std::string answer(const Result<json::object>& request);
  void take(const std::string& name, std::vector<UniqueFd> fds);

  std::filesystem::path file_;
  std::string node_;
  std::optional<AuditFile> log_;
  UniqueFd ours_;
  KeepListener keep_;
  int told_ = 0;  // of sockets that were not kept, since connect()
};

}  // namespace flynn::core
