#include "sizes.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace flynn::cli {
namespace {

constexpr std::string_view kUnits = "kMGTP";

bool is_bytes(std::string_view type) { return type == "memory" || type == "temp_disk"; }

Error not_a_size(std::string_view text) {
  return usage_error("\"" + std::string(text) + "\" is not a size: expected a number with B, KB, MB or GB");
}

/// Powers of 1024 of "", "B", "K", "KB", "KiB", "m" …; -1 for anything else.
int exponent_of(std::string_view unit) {
  if (unit.empty()) return 0;
  std::string lower;
  for (const char c : unit) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower == "b") return 0;
  const auto at = std::string_view("kmgtp").find(lower[0]);
  if (at == std::string_view::npos) return -1;
  const std::string rest = lower.substr(1);
  return rest.empty() || rest == "b" || rest == "ib" ? static_cast<int>(at) + 1 : -1;
}

}  // namespace

Result<std::int64_t> parse_size(std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || !std::isfinite(number) || number < 0) return not_a_size(text);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const int exponent = exponent_of(unit);
  const double bytes = number * std::pow(1024.0, exponent);
  if (exponent < 0 || bytes > 9e18) return not_a_size(text);
  return static_cast<std::int64_t>(bytes);
}

std::string format_size(std::int64_t bytes) {
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit < kUnits.size(); ++unit) value /= 1024;
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.2f", value);
  std::string number = text.data();
  number.erase(number.find_last_not_of('0') + 1);
  if (number.ends_with('.')) number.pop_back();
  return number + (unit == 0 ? "" : std::string(1, kUnits[unit - 1])) + "B";
}

Result<std::int64_t> parse_limit(std::string_view type, std::string_view text) {
  if (is_bytes(type)) return parse_size(text);
  if (type != "cpu" && type != "max_fd") {
    return usage_error("unknown limit \"" + std::string(type) + "\": expected memory, cpu, temp_disk or max_fd");
  }
  std::int64_t number = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || number < 0) {
    return usage_error("\"" + std::string(text) + "\" is not a number for " + std::string(type));
  }
  return number;
}

std::string format_limit(std::string_view type, std::int64_t value) {
  return is_bytes(type) ? format_size(value) : std::to_string(value);
}

}  // namespace flynn::cli
