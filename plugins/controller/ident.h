/// Ids and times as the wire wants them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "flynn/sdk/uuid.h"

namespace flynn::controller {

/// The dashed lower-case form of a UUID given with or without dashes; empty when it is not one.
std::optional<std::string> canonical_uuid(std::string_view text);
/// A UUID made of the first 16 bytes of a digest: the same content has the same id.
std::string uuid_of_digest(std::string_view digest);

/// Milliseconds since 1970, wall clock.
std::int64_t now_ms();
/// "2026-01-31T12:00:00.000Z"
std::string format_time(std::int64_t ms);
/// RFC 3339 in UTC, with or without a fraction; empty for anything else.
std::optional<std::int64_t> parse_time(std::string_view text);
inline std::string now_text() { return format_time(now_ms()); }

std::string sha256_hex(std::string_view data);
std::string md5_hex(std::string_view data);

}  // namespace flynn::controller
