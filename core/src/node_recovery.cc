// After a crash: what is undone, what returns, what is not started again; and how the operator brings it back.
#include <chrono>

#include "crash_loop.h"
#include "node.h"
#include "swap_attempt.h"

namespace flynn::core {
namespace {

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string version_of(const SlotRecord& record, const std::string& digest) {
  for (const auto* version : {&record.current, &record.previous})
    if (*version && (*version)->digest == digest) return (*version)->version;
  return "the version in its file";
}

RecordedVersion recorded(const Generation& generation) {
  return {generation.file().path.string(), generation.facts().manifest.version, generation.file().digest};
}

}  // namespace

// Before anything is started. The record may change; boot() saves it.
void Node::settle_record(SlotPlan& entry) {
  auto& record = record_.slot(entry.config.slot);
  const bool crashed = last_crash_ && last_crash_->slot == entry.config.slot;
  const auto pending = std::exchange(record.pending, std::nullopt);
  const auto attempt = std::exchange(record.attempt, "");
  const auto why = crashed ? " (" + last_crash_->what + ")" : "";
  if (pending) {
    const bool same = record.current && record.current->digest == pending->digest;
    note_undone(entry, {{"version", pending->version}, {"digest", pending->digest}},
                (same ? "a new configuration of " : "") + pending->version +
                    " was undone: the host ended before that swap was committed" + why + "; the " +
                    (same ? "configuration" : "version") + " before it is in force");
    return;
  }
  // A new version that crashes before it has any work is no fault of the one in force.
  const bool by_the_new_one =
      !attempt.empty() && crashed && last_crash_->digest != digest_of_file(boot_file(entry)).value_or("");
  if (!attempt.empty())
    note_undone(entry, {{"version", attempt}},
                "the swap to " + attempt + " was given up: the host ended before " + attempt + " had any work" +
                    (by_the_new_one ? why : "") + "; the version before it never left");
  if (crashed && !by_the_new_one) settle_crash(entry, record, *last_crash_);
}

void Node::note_undone(SlotPlan& entry, json::object undone, std::string words) {
  entry.note = std::move(words);
  log_.write(FLYNN_LOG_WARN, entry.config.slot, "swap_undone_at_boot",
             {{"version", string_or(undone, "version")}, {"why", entry.note}});
  json::object note{
      {"slot", entry.config.slot}, {"action", "swap_undone"}, {"from", std::move(undone)}, {"outcome", entry.note}};
  if (last_crash_ && last_crash_->slot == entry.config.slot) note["crash"] = last_crash_->document();
  history_->add(std::move(note));
}

void Node::settle_crash(SlotPlan& entry, SlotRecord& record, const CrashNote& crash) {
  const auto version = version_of(record, crash.digest);
  const auto judgement =
      judge_crash(record, crash.digest, now_ms(), {config_.core.crash_limit, config_.core.crash_window});
  const auto times = version + " crashed " + std::to_string(judgement.crashes) +
                     (judgement.crashes == 1 ? " time" : " times") + " within " +
                     std::to_string(config_.core.crash_window.count() / 1000) + " s (last: " + crash.what + ")";
  json::object note{{"slot", entry.config.slot},
                    {"from", {{"version", version}, {"digest", crash.digest}}},
                    {"crash", crash.document()},
                    {"crashes", judgement.crashes}};
  if (judgement.answer == CrashAnswer::start_again) {
    note["action"] = "crash";
    entry.note = times + "; it was started again";
  } else if (judgement.answer == CrashAnswer::go_back) {
    note["action"] = "crash_rollback";
    note["to"] = {{"version", record.current->version}, {"digest", record.current->digest}};
    record.configured_digest = digest_of_file(entry.config.path).value_or("");
    entry.note = times + "; " + record.current->version + ", the last good version, is back";
  } else {
    note["action"] = "quarantine";
    record.quarantined = times +
                         "; it has no earlier version, so it is not started again: swap in a good version ('flynn "
                         "plugin swap " +
                         entry.config.slot + " FILE.so'), or try this one once more ('flynn plugin start " +
                         entry.config.slot + "')";
    entry.note = record.quarantined;
  }
  note["outcome"] = entry.note;
  log_.write(FLYNN_LOG_ERROR, entry.config.slot, "plugin_crashed",
             {{"version", version}, {"crash", crash.what}, {"answer", entry.note}});
  history_->add(std::move(note));
}

// Another file than the one that crashed has deserved its chance.
bool Node::stays_quarantined(SlotPlan& entry) {
  std::string digest, why;
  {
    const std::lock_guard lock(mutex_);
    const auto& record = record_.slot(entry.config.slot);
    digest = record.quarantined_digest;
    why = record.quarantined;
  }
  if (digest.empty()) return false;
  if (digest_of_file(boot_file(entry)).value_or("") != digest) {
    lift_quarantine(entry);
    return false;
  }
  entry.quarantined = true;
  set_status(entry, "failed", why);
  return true;
}

void Node::lift_quarantine(SlotPlan& entry) {
  entry.quarantined = false;
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  record.crashes.clear();
  if (record.quarantined_digest.empty()) return;
  record.quarantined_digest.clear();
  record.quarantined.clear();
  entry.note.clear();
  save_or_log(entry.config.slot);
}

Result<std::string> Node::start_plugin(const std::string& slot) {
  auto* entry = plan(slot);
  if (entry == nullptr)
    return Error{Code::not_found, "there is no slot \"" + slot + "\" (flynn plugin list shows all)"};
  if (entry->slot->current() != nullptr) return std::string("up");
  lift_quarantine(*entry);
  try_to_start(*entry);
  SlotStatus status;
  {
    const std::lock_guard lock(mutex_);
    status = entry->status;
  }
  history_->add({{"slot", slot},
                 {"action", "start"},
                 {"outcome", status.state + (status.reason.empty() ? "" : ": ") + status.reason}});
  if (status.state == "failed") return Error{Code::unavailable, slot + " did not start: " + status.reason};
  return status.state;
}

// A swap when nothing runs: the file takes the slot if it comes up, and what was there stays down if not.
Result<SwapOutcome> Node::install(SlotPlan& entry, const std::filesystem::path& file, const SwapOptions& options,
                                  SlotChange& change) {
  const PhaseTold enter = [&](const char* phase, std::chrono::milliseconds limit) { change.enter(phase, limit); };
  enter("verify", config_.core.lifecycle);
  auto input = plan_input(entry, nullptr, file);
  input.with_canary = options.canary_permille > 0;
  const auto judged = core::plan_swap(input);
  if (!judged.manifest.version.empty()) change.note()["to"] = json::object{{"version", judged.manifest.version}};
  if (auto allowed = judged.verdict(file); !allowed) return allowed.error();
  const Attempt attempt(*this, entry, judged.manifest.version);
  // What starts at boot may do without a record; what an operator installs must be there after it, too.
  {
    const std::lock_guard lock(mutex_);
    if (auto saved = record_.save(); !saved) return saved.error();
  }
  auto manifest = judged.manifest;
  auto config = judged.config;
  const auto exchange_both = [&] {
    const std::lock_guard lock(mutex_);
    std::swap(entry.manifest, manifest);
    std::swap(entry.config_json, config);
    return entry.status;
  };
  const auto status = exchange_both();
  if (auto up = bring_up(entry, file, enter); !up) {
    (void)exchange_both();
    set_status(entry, status.state, status.reason);
    return up.error();
  }
  lift_quarantine(entry);
  const auto version = recorded(*entry.slot->current());
  // What was in force may have crashed: it is no version to go back to unless it once ran well.
  const auto recorded_well = record_commit(entry, version, file, nullptr, [](SlotRecord& record) {
    record.previous = version_before(record, record.crashed_digest);
  });
  if (!recorded_well)
    log_.write(FLYNN_LOG_ERROR, entry.config.slot, "record_not_saved",
               {{"error", recorded_well.error().message}, {"effect", "it runs, the next start has what was before"}});
  else
    forget_other_files(entry);
  set_status(entry, "up");
  SwapOutcome outcome;
  outcome.to = {
      {"version", version.version}, {"digest", version.digest}, {"generation", entry.slot->current()->facts().number}};
  outcome.report.unmapped = true;
  outcome.report.total_ms = change.elapsed_ms();
  change.note()["to"] = outcome.to;
  return outcome;
}

}  // namespace flynn::core
