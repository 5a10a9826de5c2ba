// Hazard pointers: a call into a plugin costs one store, and whoever replaces the plugin can tell when the last call
// has left.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "flynn/sdk/clock.h"

namespace flynn::core {

/// How many plugins deep one thread's calls may nest before a shared count is used instead.
inline constexpr int kHazardDepth = 8;

/// What is guarded: the base of a generation. Callers nested too deeply are counted here.
struct Guarded {
  std::atomic<int> deep_callers{0};
};

/// One per thread that has ever made a call; kept for the next thread when its own ends.
struct alignas(64) HazardRecord {
  std::array<std::atomic<const Guarded*>, kHazardDepth> pointers{};
  std::atomic<int> thread_id{0};
  std::atomic<bool> in_use{false};
  int depth = 0;
  HazardRecord* next = nullptr;
};

/// Registers membarrier; false when the kernel refuses it (then each guard pays a full fence). Once, before any guard.
/// [startup]
bool prepare_hazards();

/// The calling thread's record.
HazardRecord& hazard_record();

/// Protects what `place` points to for this object's life: `get()` is null when the place was empty. Source of the
/// asymmetric scheme: the fence is the swapper's membarrier(2), so the caller pays a compiler fence alone. Thread: the
/// one that made it.
template <typename T>
class HazardGuard {
 public:
  explicit HazardGuard(const std::atomic<T*>& place) : record_(hazard_record()), level_(record_.depth) {
    if (level_ >= kHazardDepth) {
      count(place);
      return;
    }
    auto& pointer = record_.pointers[static_cast<std::size_t>(level_)];
    T* seen = place.load(std::memory_order_acquire);
    while (true) {
      pointer.store(seen, std::memory_order_release);
      fence();
      T* again = place.load(std::memory_order_acquire);
      if (again == seen) break;
      seen = again;
    }
    guarded_ = seen;
    ++record_.depth;
  }
  ~HazardGuard() {
    if (level_ >= kHazardDepth) {
      if (guarded_ != nullptr) guarded_->deep_callers.fetch_sub(1, std::memory_order_release);
      return;
    }
    --record_.depth;
    record_.pointers[static_cast<std::size_t>(level_)].store(nullptr, std::memory_order_release);
  }
  HazardGuard(const HazardGuard&) = delete;
  HazardGuard& operator=(const HazardGuard&) = delete;

  T* get() const { return guarded_; }

 private:
  static void fence();
  // The outer levels of this very thread keep nothing of this place alive, so count under a guard of the last level.
  void count(const std::atomic<T*>& place) {
    auto& pointer = record_.pointers[kHazardDepth - 1];
    const Guarded* outer = pointer.load(std::memory_order_relaxed);
    // The outermost guard at this level must stay visible: hold it by its count while its pointer is borrowed.
    if (outer != nullptr) const_cast<Guarded*>(outer)->deep_callers.fetch_add(1);
    T* seen = place.load(std::memory_order_acquire);
    while (true) {
      pointer.store(seen, std::memory_order_seq_cst);
      T* again = place.load(std::memory_order_seq_cst);
      if (again == seen) break;
      seen = again;
    }
    if (seen != nullptr) seen->deep_callers.fetch_add(1);
    guarded_ = seen;
    pointer.store(outer, std::memory_order_seq_cst);
    if (outer != nullptr) const_cast<Guarded*>(outer)->deep_callers.fetch_sub(1);
  }

  HazardRecord& record_;
  int level_;
  T* guarded_ = nullptr;
};

/// True: guards rely on membarrier. Written once by prepare_hazards().
extern std::atomic<bool> hazards_use_membarrier;

template <typename T>
void HazardGuard<T>::fence() {
  if (hazards_use_membarrier.load(std::memory_order_relaxed))
    std::atomic_signal_fence(std::memory_order_seq_cst);
  else
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

/// Waits until no guard holds `object`, which its place no longer points to. Empty: none does. Otherwise the names of
/// the threads that still hold it at the deadline. Thread: one that holds no guard of it itself.
std::vector<std::string> wait_until_unguarded(const Guarded& object, Deadline deadline);

}  // namespace flynn::core
