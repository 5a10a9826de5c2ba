// What each method of a slot was called and cost. Written by every call without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flynn::core {

struct MethodCount {
  std::string interface, method;
  std::uint64_t calls = 0, errors = 0, total_us = 0, max_us = 0;
};

/// Thread: [any].
class MethodCounters {
 public:
  MethodCounters() = default;
  ~MethodCounters();
  MethodCounters(const MethodCounters&) = delete;
  MethodCounters& operator=(const MethodCounters&) = delete;

  void count(std::string_view interface, std::string_view method, std::uint64_t ns, bool failed);
  std::vector<MethodCount> snapshot() const;

 private:
  struct Entry {
    std::string interface, method;
    std::atomic<std::uint64_t> calls{0}, errors{0}, total_ns{0}, max_ns{0};
  };
  Entry* find(std::string_view interface, std::string_view method);

  // Names come from callers, who may invent any number: what finds no room is counted together in the last entry.
  static constexpr std::size_t kEntries = 128;
  std::array<std::atomic<Entry*>, kEntries> entries_{};
};

}  // namespace flynn::core
