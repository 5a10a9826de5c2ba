#include "method_counters.h"

#include <functional>
#include <memory>

namespace flynn::core {

MethodCounters::~MethodCounters() {
  for (auto& entry : entries_) delete entry.load();
}

MethodCounters::Entry* MethodCounters::find(std::string_view interface, std::string_view method) {
  const std::hash<std::string_view> hash;
  std::size_t at = (hash(interface) * 31 + hash(method)) % (kEntries - 1);
  for (std::size_t tries = 0; tries < 16; ++tries, at = (at + 1) % (kEntries - 1)) {
    Entry* entry = entries_[at].load(std::memory_order_acquire);
    if (entry == nullptr) {
      auto made = std::make_unique<Entry>();
      made->interface = interface;
      made->method = method;
      if (entries_[at].compare_exchange_strong(entry, made.get(), std::memory_order_acq_rel)) return made.release();
    }
    if (entry->interface == interface && entry->method == method) return entry;
  }
  Entry* other = entries_[kEntries - 1].load(std::memory_order_acquire);
  if (other != nullptr) return other;
  auto made = std::make_unique<Entry>();
  made->interface = "(others)";
  if (entries_[kEntries - 1].compare_exchange_strong(other, made.get(), std::memory_order_acq_rel))
    return made.release();
  return other;
}

void MethodCounters::count(std::string_view interface, std::string_view method, std::uint64_t ns, bool failed) {
  Entry* entry = find(interface, method.substr(0, 64));
  entry->calls.fetch_add(1, std::memory_order_relaxed);
  if (failed) entry->errors.fetch_add(1, std::memory_order_relaxed);
  entry->total_ns.fetch_add(ns, std::memory_order_relaxed);
  auto max = entry->max_ns.load(std::memory_order_relaxed);
  while (ns > max && !entry->max_ns.compare_exchange_weak(max, ns, std::memory_order_relaxed)) {
  }
}

std::vector<MethodCount> MethodCounters::snapshot() const {
  std::vector<MethodCount> counts;
  for (const auto& place : entries_)
    if (const Entry* entry = place.load(std::memory_order_acquire))
      counts.push_back(
          {entry->interface, entry->method, entry->calls, entry->errors, entry->total_ns / 1000, entry->max_ns / 1000});
  return counts;
}

}  // namespace flynn::core
