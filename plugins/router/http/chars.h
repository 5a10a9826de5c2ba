// Character classes of HTTP/1.1 (RFC 9110, 9112) as one table look-up. Stricter than the RFC where the RFC lets two
// readers disagree.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace flynn::router {

enum CharClass : std::uint8_t {
  kTokenChar = 1,   // header names, methods
  kValueChar = 2,   // field values: visible, SP, HTAB, obs-text
  kTargetChar = 4,  // request targets: visible ASCII but '#'
  kHostChar = 8,    // names in Host: letters, digits, '-', '.', '_'
};

namespace detail {
constexpr std::array<std::uint8_t, 256> make_char_table() {
  std::array<std::uint8_t, 256> table{};
  constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";
  for (unsigned c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool visible = c > 0x20 && c < 0x7f;
    std::uint8_t classes = 0;
    if (alnum || token_marks.find(static_cast<char>(c)) != std::string_view::npos) classes |= kTokenChar;
    if (visible || c == ' ' || c == '\t' || c >= 0x80) classes |= kValueChar;
    if (visible && c != '#') classes |= kTargetChar;
    if (alnum || c == '-' || c == '.' || c == '_') classes |= kHostChar;
    table[c] = classes;
  }
  return table;
}
inline constexpr auto kCharTable = make_char_table();
}  // namespace detail

inline bool is_char(char c, CharClass wanted) {
  return (detail::kCharTable[static_cast<unsigned char>(c)] & wanted) != 0;
}

inline bool all_chars(std::string_view text, CharClass wanted) {
  for (const char c : text)
    if (!is_char(c, wanted)) return false;
  return true;
}

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

/// `lowercase` must already be lower case.
inline bool equals_ignoring_case(std::string_view text, std::string_view lowercase) {
  if (text.size() != lowercase.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (lower(text[i]) != lowercase[i]) return false;
  return true;
}

inline std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace flynn::router
