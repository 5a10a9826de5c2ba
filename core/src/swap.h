// Swap: one generation of a slot is replaced by another, as a transaction.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "node_config.h"
#include "slot.h"

namespace flynn::core {

struct SwapPhase {
  std::string name;
  double ms = 0;
};

struct SwapReport {
  std::vector<SwapPhase> phases;
  double total_ms = 0, pause_ms = 0;  // pause: how long calls waited at the door (exclusive)
  bool unmapped = false;
  std::string left_mapped_because;
};

using SwapProgress = std::function<void(const std::string& phase, double elapsed_ms)>;

struct SwapHooks {
  SwapProgress progress;
  /// Right before the flip and right after probation: the durable record. An error of the first stops the swap.
  std::function<Result<void>()> before_flip;
};

/// Replaces slot.current() with `next`, which is created and configured but not started. On an error before the flip or
/// in probation the old one is back in force and `next` is gone. Source of the order:
/// docs/decisions/0003-swap-modes.md. Thread: the holder of slot.lifecycle().
class Swap {
 public:
  Swap(Slot& slot, const CoreConfig& patience, EventLog& log, SwapHooks hooks);
  Result<SwapReport> run(std::unique_ptr<Generation> next, std::chrono::milliseconds drain);

 private:
  Result<void> phase(const char* name, const std::function<Result<void>()>& body);
  Result<void> overlap_until_flip(Generation& next);
  Result<void> exclusive_until_flip(Generation& old, Generation& next);
  Result<void> warm(Generation& next);
  Result<void> probation(Generation& next);
  void undo(std::unique_ptr<Generation> next, bool old_quiesced);
  void retire(std::unique_ptr<Generation> old, std::chrono::milliseconds drain);
  void dispose(std::unique_ptr<Generation> unused);
  Deadline after(std::chrono::milliseconds span) const { return Deadline::after(span); }

  Slot& slot_;
  const CoreConfig& patience_;
  EventLog& log_;
  SwapHooks hooks_;
  SwapReport report_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace flynn::core
