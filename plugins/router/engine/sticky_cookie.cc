#include "engine/sticky_cookie.h"

#include <charconv>

#include "http/chars.h"

namespace flynn::router {
namespace {
constexpr std::string_view kName = "_backend=";
constexpr std::size_t kDigits = 16;
}  // namespace

std::uint64_t read_sticky_cookie(std::string_view cookies) {
  while (!cookies.empty()) {
    const auto end = cookies.find(';');
    const auto pair = trim_ows(cookies.substr(0, end));
    if (pair.starts_with(kName) && pair.size() == kName.size() + kDigits) {
      std::uint64_t hash = 0;
      const auto digits = pair.substr(kName.size());
      const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
      if (parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size()) return hash;
    }
    if (end == std::string_view::npos) break;
    cookies.remove_prefix(end + 1);
  }
  return 0;
}

std::string make_sticky_cookie(std::uint64_t hash) {
  std::string cookie(kName);
  for (int shift = 60; shift >= 0; shift -= 4) cookie += "0123456789abcdef"[hash >> shift & 15];
  return cookie + "; Path=/; HttpOnly";
}

}  // namespace flynn::router
