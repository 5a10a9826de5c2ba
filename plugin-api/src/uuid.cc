#include "flynn/sdk/uuid.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

namespace flynn {
namespace {

std::vector<unsigned char> random_bytes(unsigned count) {
  std::vector<unsigned char> bytes(count);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::getrandom(bytes.data() + done, bytes.size() - done, 0);
    if (got < 0 && errno != EINTR) std::abort();  // no randomness: an identifier made without it would be a lie
    if (got > 0) done += static_cast<std::size_t>(got);
  }
  return bytes;
}

void append_hex(std::string& text, unsigned char byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  text += digits[byte >> 4];
  text += digits[byte & 15];
}

}  // namespace

std::string new_uuid() {
  auto bytes = random_bytes(16);
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    append_hex(text, bytes[i]);
  }
  return text;
}

std::string random_hex(unsigned bytes) {
  std::string text;
  for (const unsigned char byte : random_bytes(bytes)) append_hex(text, byte);
  return text;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

}  // namespace flynn
