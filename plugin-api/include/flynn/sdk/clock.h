// The two clocks: monotonic deadlines (R8) and wall-clock times of documents.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace flynn {

/// A point on CLOCK_MONOTONIC; zero means none.
struct Deadline {
  std::uint64_t ns = 0;

  static Deadline after(std::chrono::nanoseconds span);
  static Deadline none() { return {}; }
  bool is_none() const { return ns == 0; }
  bool passed() const;
  /// Zero when passed; a year when none.
  std::chrono::nanoseconds left() const;
  /// For poll(2) and the like: rounded up, at most `limit`.
  int left_ms(int limit = 1'000'000'000) const;
};

/// "2026-01-31T12:00:00.000Z", now.
std::string now_rfc3339();
std::string rfc3339(std::chrono::system_clock::time_point time);

}  // namespace flynn
