#include "audit_chain.h"

#include "flynn/sdk/clock.h"
#include "sha256.h"

namespace flynn::core {

std::string chain_entry(AuditHead& head, const json::object& entry) {
  json::object line{{"seq", head.seq + 1}, {"at", now_rfc3339()}, {"prev", head.digest}};
  for (const auto& [key, value] : entry)
    if (!line.contains(key)) line.emplace(key, value);
  auto text = json::serialize(line);
  if (text.size() > kAuditLineBytesMax) {
    // What happened must be on record, even when its details are too many.
    line = {{"seq", head.seq + 1}, {"at", string_or(line, "at")}, {"prev", head.digest}};
    for (const char* key : {"node", "by", "slot", "action", "outcome"})
      if (const auto* value = entry.if_contains(key);
          value != nullptr && json::serialize(*value).size() < kAuditLineBytesMax / 16)
        line.emplace(key, *value);
    line.emplace("left_out_bytes", text.size());
    text = json::serialize(line);
  }
  head = {head.seq + 1, sha256_hex(text)};
  return text;
}

}  // namespace flynn::core
