// CallCounters: what the calls of one generation cost, so that a new one can be compared with the old one.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flynn/plugin.h"

namespace flynn::core {

/// Bucket n counts calls of less than 2^n microseconds that fit no smaller one; the last has all the rest.
inline constexpr std::size_t kLatencyBuckets = 28;

/// A moment's counts, or the difference of two.
struct CallFigures {
  std::uint64_t calls = 0, faults = 0, latency_us_sum = 0;
  std::array<std::uint64_t, kLatencyBuckets> buckets{};

  CallFigures since(const CallFigures& earlier) const;
  /// Faults in percent of the calls; 0 without a call.
  double fault_percent() const;
  double mean_ms() const;
  /// Upper bound of the bucket that holds the slowest hundredth; 0 without a call.
  std::uint64_t p99_us() const;
};

/// Two relaxed additions a call, on a cache line that no other generation shares. Thread: [any].
class alignas(64) CallCounters {
 public:
  void count(std::uint64_t ns, flynn_status status) noexcept;
  CallFigures read() const noexcept;

 private:
  std::atomic<std::uint64_t> faults_{0}, total_ns_{0};
  std::array<std::atomic<std::uint64_t>, kLatencyBuckets> buckets_{};
};

/// True for an answer that is the plugin's own fault. What a caller brought about (not_found, conflict,
/// invalid_argument …) is none.
bool is_fault(flynn_status status) noexcept;

}  // namespace flynn::core
