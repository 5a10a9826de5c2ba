#include "flynn/sdk/clock.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace flynn {
namespace {

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000ULL + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

Deadline Deadline::after(std::chrono::nanoseconds span) {
  const auto ahead = std::max<std::int64_t>(span.count(), 0);
  return Deadline{monotonic_ns() + static_cast<std::uint64_t>(ahead)};
}

bool Deadline::passed() const { return ns != 0 && monotonic_ns() >= ns; }

std::chrono::nanoseconds Deadline::left() const {
  if (is_none()) return std::chrono::hours(24 * 365);
  const auto now = monotonic_ns();
  return std::chrono::nanoseconds(now >= ns ? 0 : static_cast<std::int64_t>(ns - now));
}

int Deadline::left_ms(int limit) const {
  const auto ms = (left().count() + 999'999) / 1'000'000;
  return static_cast<int>(std::min<std::int64_t>(ms, limit));
}

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(since / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 80> text{};
  const int size = std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                                 static_cast<int>(since % 1000));
  return std::string(text.data(), static_cast<std::size_t>(size));
}

std::string now_rfc3339() { return rfc3339(std::chrono::system_clock::now()); }

}  // namespace flynn
