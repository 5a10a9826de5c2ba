#include "call_counters.h"

#include <algorithm>
#include <bit>

namespace flynn::core {

CallFigures CallFigures::since(const CallFigures& earlier) const {
  CallFigures difference;
  difference.calls = calls - std::min(calls, earlier.calls);
  difference.faults = faults - std::min(faults, earlier.faults);
  difference.latency_us_sum = latency_us_sum - std::min(latency_us_sum, earlier.latency_us_sum);
  for (std::size_t i = 0; i < buckets.size(); ++i)
    difference.buckets[i] = buckets[i] - std::min(buckets[i], earlier.buckets[i]);
  return difference;
}

double CallFigures::fault_percent() const {
  return calls == 0 ? 0 : 100.0 * static_cast<double>(faults) / static_cast<double>(calls);
}

double CallFigures::mean_ms() const {
  return calls == 0 ? 0 : static_cast<double>(latency_us_sum) / 1000.0 / static_cast<double>(calls);
}

std::uint64_t CallFigures::p99_us() const {
  std::uint64_t slower = 0;
  for (std::size_t i = buckets.size(); i-- > 0;) {
    slower += buckets[i];
    if (slower > 0 && slower * 100 >= calls) return std::uint64_t{1} << i;
  }
  return 0;
}

void CallCounters::count(std::uint64_t ns, flynn_status status) noexcept {
  const auto bucket = std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(ns / 1000)), kLatencyBuckets - 1);
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
  total_ns_.fetch_add(ns, std::memory_order_relaxed);
  if (is_fault(status)) faults_.fetch_add(1, std::memory_order_relaxed);
}

CallFigures CallCounters::read() const noexcept {
  CallFigures figures;
  figures.faults = faults_.load(std::memory_order_relaxed);
  figures.latency_us_sum = total_ns_.load(std::memory_order_relaxed) / 1000;
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    figures.calls += figures.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
  return figures;
}

bool is_fault(flynn_status status) noexcept {
  switch (status) {
    case FLYNN_OK:
    case FLYNN_E_INVALID_ARGUMENT:
    case FLYNN_E_NOT_FOUND:
    case FLYNN_E_ALREADY_EXISTS:
    case FLYNN_E_CONFLICT:
    case FLYNN_E_PERMISSION_DENIED:
    case FLYNN_E_FAILED_PRECONDITION:
    case FLYNN_E_CANCELLED:
    case FLYNN_E_OUT_OF_RANGE:
    case FLYNN_E_RESTART_REQUIRED:
      return false;
    default:  // unavailable, deadline_exceeded, resource_exhausted, unimplemented, internal, and what nobody knows (R7)
      return true;
  }
}

}  // namespace flynn::core
