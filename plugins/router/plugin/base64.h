// Bytes as text (RFC 4648, with padding).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flynn::router {

std::string encode_base64(std::string_view bytes);
/// Nothing if `text` is not exactly what encode_base64 writes.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace flynn::router
