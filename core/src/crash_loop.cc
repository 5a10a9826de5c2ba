#include "crash_loop.h"

namespace flynn::core {

std::optional<RecordedVersion> version_before(const SlotRecord& record, const std::string& digest) {
  for (const auto* version : {&record.current, &record.previous})
    if (*version && (*version)->digest != digest) return *version;
  return std::nullopt;
}

CrashJudgement judge_crash(SlotRecord& record, const std::string& digest, std::int64_t now_ms,
                           const CrashLimits& limits) {
  // What another version did is no fault of this one.
  if (record.crashed_digest != digest) record.crashes.clear();
  record.crashed_digest = digest;
  std::erase_if(record.crashes, [&](auto time) { return time > now_ms || now_ms - time > limits.window.count(); });
  record.crashes.push_back(now_ms);
  CrashJudgement judgement{CrashAnswer::start_again, record.crashes.size()};
  if (limits.count == 0 || judgement.crashes < static_cast<std::size_t>(limits.count)) return judgement;
  record.crashes.clear();
  if (auto good = version_before(record, digest)) {
    judgement.answer = CrashAnswer::go_back;
    // Only one way back: should the good one crash as well, the bad one must not return.
    record.current = std::move(good);
    record.previous.reset();
  } else {
    judgement.answer = CrashAnswer::quarantine;
    record.quarantined_digest = digest;
  }
  return judgement;
}

}  // namespace flynn::core
