// Swap: one generation of a slot is replaced by another, as a transaction.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "connection_pump.h"
#include "gate_watch.h"
#include "node_config.h"
#include "slot.h"

namespace flynn::core {

/// What the operator asked for; absent or zero: as configured.
struct SwapOptions {
  std::optional<std::chrono::milliseconds> drain, probation;
  unsigned canary_permille = 0;  ///< 0: no canary
  std::chrono::milliseconds canary_for{0};
  std::chrono::milliseconds lock_wait{0};  ///< for another change of the slot to end
  std::string who = "operator";
  /// Asked while waiting for another change: false, and this one is not begun any more.
  std::function<bool()> wanted;
};

/// How the error of a swap begins whose new version had work already.
inline constexpr const char* kRolledBack = "rolled back";

struct SwapPhase {
  std::string name;
  double ms = 0;
};

struct SwapReport {
  std::vector<SwapPhase> phases;
  double total_ms = 0, pause_ms = 0;  // pause: how long calls waited at the door (exclusive)
  double back_ms = 0;                 // from the breach until the old one was in force again
  bool unmapped = false;
  std::string left_mapped_because;
  ConnectionPump::Count connections;
  json::object gate;  // the figures that the gate saw last
};

using SwapProgress = std::function<void(const std::string& phase, double elapsed_ms)>;

struct SwapHooks {
  /// At the beginning of each phase; `limit` is its deadline, zero when it has none of its own.
  std::function<void(const std::string& phase, std::chrono::milliseconds limit)> enter;
  /// True: callers wait, so whoever watches is told of the phases later, at the latest with false.
  std::function<void(bool quiet)> hush;
  /// Before the new one is given any work: the durable record. An error stops the swap.
  std::function<Result<void>()> before_work;
  /// After probation, before the old one ends: from here on the new one is in force, durably. An error brings the old
  /// one back.
  std::function<Result<void>()> commit;
  /// Why the new one, on canary or probation, is given up now, as the beginning of a sentence ("the node ends"); empty:
  /// it is not. Asked every 100 ms at least.
  std::function<std::string()> given_up;
};

/// Replaces slot.current() with `next`, which is created and configured but not started. On an error before the flip or
/// in probation the old one is back in force and `next` is gone. Source of the order:
/// docs/decisions/0003-swap-modes.md and 0007-canary-and-gate.md. Thread: the holder of slot.lifecycle().
class Swap {
 public:
  /// `options` has every value filled in.
  Swap(Slot& slot, const CoreConfig& patience, SwapOptions options, EventLog& log, SwapHooks hooks);
  Result<void> run(std::unique_ptr<Generation> next);
  /// Also of a swap that failed.
  SwapReport& report() { return report_; }

 private:
  using Milliseconds = std::chrono::milliseconds;
  Result<void> phase(const char* name, Milliseconds limit, const std::function<Result<void>()>& body);
  Result<void> row(Generation& generation, std::vector<ControlStep> steps);
  void hush(bool quiet);
  void wait_for_a_quiet_moment(Generation& old, Generation& next) const;
  Result<void> record();
  Result<void> until_work(Generation& old, Generation& next);
  Result<void> exclusive_until_warm(Generation& old, Generation& next);
  Result<void> warm(Generation& next);
  Result<void> healthy(Generation& next);
  Result<void> canary(Generation& old, Generation& next);
  Result<void> flip(Generation& old, Generation& next);
  Result<void> probation(ConnectionPump& pump);
  Result<void> look_at(const char* when);
  Result<void> not_given_up(const char* when);
  bool pause(Milliseconds span) const;
  void hand_back(Generation& next, Generation& old);
  void undo(std::unique_ptr<Generation> next);
  void roll_back(std::unique_ptr<Generation> old);
  void retire(std::unique_ptr<Generation> old, ConnectionPump& pump);
  void dispose(std::unique_ptr<Generation> unused);
  void warn_of(const char* event, const Result<void>& result);
  void count(const ConnectionPump& pump);
  Deadline after(Milliseconds span) const { return Deadline::after(span); }

  Slot& slot_;
  const CoreConfig& patience_;
  SwapOptions options_;
  EventLog& log_;
  SwapHooks hooks_;
  SwapReport report_;
  bool exclusive_ = false, started_ = false;
  std::optional<GateWatch> gate_;
  std::chrono::steady_clock::time_point began_, parked_, breached_;
};

}  // namespace flynn::core
