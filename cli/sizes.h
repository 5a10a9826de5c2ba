/// Limits of process types as people write them: "1GB", "512MB", plain numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "result.h"

namespace flynn::cli {

/// Bytes; units are binary (1KB = 1024), as in Flynn's client.
Result<std::int64_t> parse_size(std::string_view text);
/// "1GB", "512MB", "1.5GB", "12kB": the shortest exact form with at most two decimals.
std::string format_size(std::int64_t bytes);

/// The value of a limit by its resource type: bytes for memory and temp_disk, else a number.
Result<std::int64_t> parse_limit(std::string_view type, std::string_view text);
std::string format_limit(std::string_view type, std::int64_t value);

}  // namespace flynn::cli
