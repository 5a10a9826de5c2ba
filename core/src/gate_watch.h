// GateWatch: looks at both generations of a swap and puts what it sees before the gate.
#pragma once

#include <optional>
#include <string>

#include "own_figures.h"
#include "swap_gate.h"

namespace flynn::core {

/// Made before anything happens to the old one. Thread: the holder of the slot's lifecycle lock.
class GateWatch {
 public:
  /// Borrows all. `patience`: how long health and Figures may take.
  GateWatch(Generation& old_one, const GateLimits& limits, std::chrono::milliseconds patience);
  /// The new one is healthy and has nothing to do yet: what grows from now on is its work. Borrows it.
  void begin(Generation& new_one);
  /// The old one's figures stand still from now on: it is out of force.
  void freeze_old();
  /// Health and figures, now; the breach when there is one.
  std::optional<std::string> look();
  /// What was seen last.
  json::object figures() const { return document_of(reading_); }

 private:
  void read_old();
  Deadline soon() const { return Deadline::after(patience_); }

  Generation& old_;
  Generation* new_ = nullptr;
  const GateLimits& limits_;
  std::chrono::milliseconds patience_;
  OwnFigures own_;
  CallFigures old_calls_at_begin_, old_own_at_begin_;
  bool frozen_ = false;
  bool threads_are_known_ = false;  // whose they are; otherwise those of the process are compared
  GateReading reading_;
};

}  // namespace flynn::core
