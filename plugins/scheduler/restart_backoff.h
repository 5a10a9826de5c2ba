// How long a formation's job that ended waits for its replacement.
#pragma once

#include <algorithm>

#include "cell_state.h"

namespace flynn::scheduler {

inline constexpr TimeMs kStableAfterMs = 60'000;
inline constexpr TimeMs kRestartDelayMaxMs = 60'000;

/// A job and its replacements form a line; each spec carries how many before it ended in a row. So the back-off
/// survives a restart of the scheduler, and one crashing job does not slow down its healthy siblings.
struct Restart {
  TimeMs not_before = 0;
  int restarts = 0;  // for the replacement's spec
};

/// At once the first time, then after 1, 2, 4 … 60 s; a job that was up for 60 s begins a new line.
inline Restart restart_after(const JobState& ended) {
  const bool stable = ended.up_ms > 0 && ended.ended_ms - ended.up_ms >= kStableAfterMs;
  const int before = stable ? 0 : ended.restarts;
  TimeMs delay = 0;
  if (before > 0)
    delay = before > 6 ? kRestartDelayMaxMs : std::min<TimeMs>(1000LL << (before - 1), kRestartDelayMaxMs);
  return {ended.ended_ms + delay, before + 1};
}

}  // namespace flynn::scheduler
