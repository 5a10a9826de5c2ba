// The gate of a swap: says from figures whether the new generation is worse than the old one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "call_counters.h"
#include "flynn/sdk/json.h"
#include "process_figures.h"

namespace flynn::core {

/// [core.gate]. Growth is counted from the moment when the new generation was healthy and had nothing to do yet.
struct GateLimits {
  std::int64_t calls_min = 20;          ///< fewer calls of the new one are not judged
  std::int64_t error_points_max = 1;    ///< percentage points of faults above the old one's
  std::int64_t latency_factor_max = 2;  ///< mean latency: this many times the old one's …
  std::int64_t latency_margin_ms = 50;  ///< … and this much above: a busy machine is no breach
  std::int64_t memory_mb_max = 64;      ///< resident memory of the process
  std::int64_t descriptors_max = 200;   ///< of the process, without sockets
  std::int64_t sockets_max = 10'000;    ///< of the process; load moves them too
  std::int64_t threads_max = 16;        ///< of the new generation above the old one's
};

/// One look at both generations.
struct GateReading {
  std::string sickness;              ///< why the new one is not healthy; empty: it is
  CallFigures old_calls, new_calls;  ///< at the door
  CallFigures old_own, new_own;      ///< what they tell of themselves (flynn.plugin/1), no calls when they don't
  ProcessFigures before, now;
  std::int64_t old_threads = 0, new_threads = 0;
};

/// The rule that is broken, in words with the figures; nothing while all hold. Pure.
std::optional<std::string> find_breach(const GateReading& reading, const GateLimits& limits);
/// For the audit log.
json::object document_of(const GateReading& reading);

}  // namespace flynn::core
