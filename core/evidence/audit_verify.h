// Whether an audit log's chain is whole, and where it is broken.
#pragma once

#include <filesystem>

#include "audit_chain.h"

namespace flynn::core {

struct AuditVerdict {
  AuditHead head;
  std::int64_t entries = 0, cut_lines = 0, segments = 1;
  std::int64_t broken_line = 0;  ///< 0: the chain is whole
  std::string words;             ///< what is wrong with that line
  bool found_expected = true;    ///< false: no line has the digest that was asked for, or entries known of are gone
  bool open_end = false;         ///< bytes without a line feed at the end: being written, or cut by a power failure

  bool whole() const { return broken_line == 0 && found_expected; }
  json::object document() const;
};

/// Checks a chain line by line as they are added.
class AuditChecker {
 public:
  /// `expected`: the digest of a line noted earlier, which must still be there; empty: none.
  explicit AuditChecker(std::string expected = {}) : expected_(std::move(expected)) {}
  /// One line without its line feed; false once the chain is broken.
  bool add(std::string_view line);
  AuditVerdict finish();

 private:
  bool breaks(std::string words);
  bool begins_segment(const json::object& entry, std::string_view prev) const;

  std::string expected_, last_digest_;
  AuditVerdict verdict_;
  std::int64_t number_ = 0, cut_from_ = 0;
  bool expected_seen_ = false;
};

/// Reads the file, which another process may be appending to. Errors: it can't be read.
Result<AuditVerdict> verify_audit_file(const std::filesystem::path& file, const std::string& expected = {});

}  // namespace flynn::core
