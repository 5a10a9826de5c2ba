// The audit log's format: one JSON object a line, each with the digest of the line before it, so that no line can be
// changed, taken out or put in without breaking the chain. docs/decisions/0011-audit-log.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flynn/sdk/json.h"

namespace flynn::core {

inline constexpr std::size_t kAuditLineBytesMax = 128u << 10;
/// The action of the entry that goes on after lines which were cut short.
inline constexpr std::string_view kAuditSegment = "segment_begins";

/// Where the chain ends.
struct AuditHead {
  std::int64_t seq = 0;
  std::string digest = std::string(64, '0');  ///< of the last line's bytes, without its line feed
};

/// `entry` as the line after `head` (no line feed): "seq", "at" and "prev" first. `head` becomes the new end.
std::string chain_entry(AuditHead& head, const json::object& entry);

}  // namespace flynn::core
