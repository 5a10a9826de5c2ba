// AuditFile: the audit log's one writer.
#pragma once

#include <cstdint>
#include <filesystem>

#include "audit_chain.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

inline std::filesystem::path audit_file_of(const std::filesystem::path& data_dir) {
  return data_dir / "core" / "audit.ndjson";
}

/// Thread: one at a time.
class AuditFile {
 public:
  /// Makes the file if it is missing, its first entry naming `node`. Lines that a power cut left incomplete stay, and
  /// an entry says so.
  static Result<AuditFile> open(const std::filesystem::path& file, const std::string& node);
  /// Chained, written, synced: the entry's seq. What could not be written is counted, and the next entry tells.
  Result<std::int64_t> append(const json::object& entry);
  const AuditHead& head() const { return head_; }

 private:
  Result<void> begin(const std::string& node);
  /// Finds the head again from what the file has.
  Result<void> recover();
  Result<std::int64_t> write(const json::object& entry);

  std::filesystem::path path_;
  std::string node_;
  UniqueFd fd_;
  AuditHead head_;
  std::int64_t lost_ = 0;
  bool doubtful_ = false;  // a write failed half way
};

}  // namespace flynn::core
