// What follows from the crash of a plugin: nothing yet, its last good version, or that it is not started again. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "active_record.h"

namespace flynn::core {

struct CrashLimits {
  int count = 3;  // 0: no limit
  std::chrono::milliseconds window{60'000};
};

enum class CrashAnswer { start_again, go_back, quarantine };

struct CrashJudgement {
  CrashAnswer answer = CrashAnswer::start_again;
  std::size_t crashes = 0;  // within the window, with this one
};

/// Counts a crash of the version with `digest` in the record, and changes the record as the answer says: on go_back the
/// good version becomes current; on quarantine the digest is noted. `now_ms`: since 1970.
CrashJudgement judge_crash(SlotRecord& record, const std::string& digest, std::int64_t now_ms,
                           const CrashLimits& limits);
/// The newest version of the record that is not the one with `digest`.
std::optional<RecordedVersion> version_before(const SlotRecord& record, const std::string& digest);

}  // namespace flynn::core
