#include "names.h"

#include <algorithm>

namespace flynn::cli {
namespace {

constexpr std::size_t kAppNameMax = 100;

bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_unreserved(char c) {
  return is_name_char(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

bool is_app_name(std::string_view name) {
  if (name.empty() || name.size() > kAppNameMax) return false;
  if (name.front() == '-' || name.back() == '-' || name.find("--") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return is_name_char(c) || c == '-'; });
}

Status check_app_name(std::string_view name) {
  if (is_app_name(name)) return Done{};
  return usage_error("\"" + std::string(name) +
                     "\" is not a name for an app: 1 to 100 of a-z and 0-9, with single dashes between")
      .as(ErrorCode::kInvalidName);
}

Result<std::pair<std::string, std::string>> split_assignment(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    return usage_error("invalid pair \"" + std::string(text) + "\": expected KEY=VALUE");
  }
  if (equals == 0) return usage_error("invalid pair \"" + std::string(text) + "\": the key is empty");
  return std::pair{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string shell_quoted(std::string_view text) {
  static constexpr std::string_view kPlain = "=:/@%+,-._";
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_unreserved(c) || kPlain.find(c) != std::string_view::npos;
  });
  if (plain && text.find('~') == std::string_view::npos) return std::string(text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
  }
  return out;
}

}  // namespace flynn::cli
