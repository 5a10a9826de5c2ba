#include "ident.h"

#include <openssl/evp.h>
#include <time.h>

#include <array>
#include <chrono>
#include <cstdio>

namespace flynn::controller {
namespace {

constexpr char kHex[] = "0123456789abcdef";

std::string hex(std::string_view bytes) {
  std::string out;
  for (unsigned char byte : bytes) {
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::string dashed(const std::string& digits) {
  return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" + digits.substr(16, 4) +
         "-" + digits.substr(20, 12);
}

std::string uuid_of_bytes(std::array<unsigned char, 16> bytes) {
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  return dashed(hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

std::string digest_hex(const EVP_MD* kind, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), out.data(), &size, kind, nullptr) != 1) return {};
  return hex({reinterpret_cast<const char*>(out.data()), size});
}

}  // namespace

std::optional<std::string> canonical_uuid(std::string_view text) {
  std::string digits;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '-') {
      if (digits.size() != 8 && digits.size() != 12 && digits.size() != 16 && digits.size() != 20) return std::nullopt;
      if (at > 0 && text[at - 1] == '-') return std::nullopt;
      continue;
    }
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
    digits += c;
  }
  if (digits.size() != 32) return std::nullopt;
  return dashed(digits);
}

std::string uuid_of_digest(std::string_view digest) {
  std::array<unsigned char, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size() && i < digest.size(); ++i) bytes[i] = static_cast<unsigned char>(digest[i]);
  return uuid_of_bytes(bytes);
}

std::int64_t now_ms() {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

std::string format_time(std::int64_t ms) {
  time_t seconds = static_cast<time_t>(ms / 1000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<int>(ms % 1000));
  return text.data();
}

std::optional<std::int64_t> parse_time(std::string_view text) {
  tm parts{};
  int used = 0;
  std::string copy(text);
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
                  &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 6) {
    return std::nullopt;
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  std::size_t at = static_cast<std::size_t>(used);
  std::int64_t milliseconds = 0;
  if (at < copy.size() && copy[at] == '.') {
    std::int64_t scale = 100;
    for (++at; at < copy.size() && copy[at] >= '0' && copy[at] <= '9'; ++at, scale /= 10)
      milliseconds += (copy[at] - '0') * scale;
  }
  if (at + 1 != copy.size() || copy[at] != 'Z') return std::nullopt;
  return static_cast<std::int64_t>(::timegm(&parts)) * 1000 + milliseconds;
}

std::string sha256_hex(std::string_view data) { return digest_hex(EVP_sha256(), data); }
std::string md5_hex(std::string_view data) { return digest_hex(EVP_md5(), data); }

}  // namespace flynn::controller
