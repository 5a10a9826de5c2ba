// Slot: a place for one plugin; calls go to whatever generation is current.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "generation.h"
#include "method_counters.h"

namespace flynn::core {

/// Thread: pass [any]; the rest [control] of the slot's lifecycle lock.
class Slot {
 public:
  explicit Slot(std::string name) : name_(std::move(name)) {}

  /// One call. Waits while the slot is parked, `unavailable` when nobody is there.
  flynn_status pass(const flynn_call& call, flynn_reply* reply);

  /// The flip: one store. Takes over `next`, gives the old one back (still guarded by those inside).
  std::unique_ptr<Generation> set_current(std::unique_ptr<Generation> next);
  Generation* current() const { return current_.load(std::memory_order_acquire); }
  /// For a HazardGuard.
  const std::atomic<Generation*>& current_place() const { return current_; }
  /// This share of the calls goes to `canary` until end_canary(). Borrowed: after end_canary() wait until it is
  /// unguarded.
  void set_canary(Generation& canary, unsigned share_permille);
  void end_canary();
  /// From now on calls wait; the generation stays ours. unpark() lets them go on to whatever is current.
  void park();
  void unpark();
  /// Takes the generation back under parked calls, so that those inside can be waited for; restore() undoes it.
  void hide_current();
  void restore_current();

  const std::string& name() const { return name_; }
  MethodCounters& counters() { return counters_; }
  const MethodCounters& counters() const { return counters_; }
  /// Held while its lifecycle functions are called, also for a health check.
  std::mutex& lifecycle() { return lifecycle_; }

 private:
  bool wait_while_parked(Deadline deadline);
  bool is_canarys_turn();

  std::string name_;
  std::atomic<Generation*> current_{nullptr};
  std::unique_ptr<Generation> owned_;
  std::atomic<Generation*> canary_{nullptr};
  std::atomic<unsigned> canary_permille_{0};
  std::atomic<std::uint64_t> canary_turn_{0};
  std::atomic<bool> parked_{false};
  std::mutex parking_;
  std::condition_variable unparked_;
  MethodCounters counters_;
  std::mutex lifecycle_;
};

}  // namespace flynn::core
