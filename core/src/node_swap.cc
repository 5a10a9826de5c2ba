// The operator's changes of a running node: swap, roll back, configure; and what is recorded of them.
#include "config_schema.h"
#include "node.h"
#include "runtime_config.h"
#include "sha256.h"
#include "swap_attempt.h"

namespace flynn::core {
namespace {

constexpr const char* kConfigure = "configure";
// A change's own entry is among the newest: what follows it at once is little.
constexpr std::size_t kLastEntries = 16;

// For the audit log: what never had any work was refused, the rest says itself that it was rolled back.
std::string failure_text(const Error& error) {
  return error.message.starts_with(kRolledBack) ? error.message : "refused: " + error.message;
}

json::object facts_of(const Generation& generation) {
  return {{"version", generation.facts().manifest.version},
          {"digest", generation.file().digest},
          {"generation", generation.facts().number}};
}

RecordedVersion recorded(const Generation& generation) {
  return {generation.file().path.string(), generation.facts().manifest.version, generation.file().digest};
}

// Tells the operator who asked of the phases; while hushed, later.
class Teller {
 public:
  Teller(SlotChange& change, const SwapProgress& progress) : change_(change), progress_(progress) {}
  void enter(const std::string& phase, std::chrono::milliseconds limit) {
    change_.enter(phase, limit);
    untold_.emplace_back(phase, change_.elapsed_ms());
    if (!hushed_) tell();
  }
  void hush(bool quiet) {
    hushed_ = quiet;
    change_.hush(quiet);
    if (!quiet) tell();
  }

 private:
  void tell() {
    for (const auto& [phase, elapsed_ms] : std::exchange(untold_, {}))
      if (progress_) progress_(phase, elapsed_ms);
  }

  SlotChange& change_;
  const SwapProgress& progress_;
  std::vector<std::pair<std::string, double>> untold_;
  bool hushed_ = false;
};

// While it lives, what runs in a slot is not yet what is in force.
class Unsettled {
 public:
  explicit Unsettled(std::function<void(bool settled)> set) : set_(std::move(set)) { set_(false); }
  ~Unsettled() { set_(true); }
  Unsettled(const Unsettled&) = delete;
  Unsettled& operator=(const Unsettled&) = delete;

 private:
  std::function<void(bool)> set_;
};

// How long each phase lasted that begins where the last one ended.
class PhaseClock {
 public:
  void end(const char* phase) {
    const auto now = std::chrono::steady_clock::now();
    phases_.push_back({phase, std::chrono::duration<double, std::milli>(now - began_).count()});
    began_ = now;
  }
  void put_before(std::vector<SwapPhase>& phases) { phases.insert(phases.begin(), phases_.begin(), phases_.end()); }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::vector<SwapPhase> phases_;
};

void note_report(json::object& note, const SwapReport& report) {
  json::object phases;
  for (const auto& phase : report.phases) phases[phase.name] = phase.ms;
  note["phases"] = std::move(phases);
  note["total_ms"] = report.total_ms;
  note["unmapped"] = report.unmapped;
  if (!report.unmapped) note["left_mapped_because"] = report.left_mapped_because;
  if (!report.gate.empty()) note["gate"] = report.gate;
  if (report.back_ms > 0) note["back_ms"] = report.back_ms;
  const auto& connections = report.connections;
  if (connections.moved + connections.refused + connections.lost > 0)
    note["connections"] =
        json::object{{"moved", connections.moved}, {"refused", connections.refused}, {"lost", connections.lost}};
}

}  // namespace

void Node::note_zombies(SlotPlan& entry, const SwapReport& report, const json::object& from) {
  if (report.unmapped) return;
  const std::lock_guard lock(mutex_);
  entry.zombies.push_back("generation " + std::to_string(int_or(from, "generation")) + ": " +
                          report.left_mapped_because);
}

Result<std::unique_ptr<SlotChange>> Node::begin_change(SlotPlan& entry, const std::string& action,
                                                       SwapOptions options) {
  if (stopping_) return Error{Code::unavailable, "the node is ending: change it when it is up again"};
  options.wanted = [this, wanted = options.wanted] { return !stopping_ && (!wanted || wanted()); };
  return SlotChange::begin(changes_, *entry.slot, action, options);
}

Result<SwapOutcome> Node::replace(SlotPlan& entry, const std::filesystem::path& file, SwapOptions options,
                                  const std::string& why, SlotChange& change, const SwapProgress& progress) {
  PhaseClock before;  // of the phases that are not the swap's own
  Teller teller(change, progress);
  const auto enter = [&](const std::string& phase, std::chrono::milliseconds limit) { teller.enter(phase, limit); };
  options = filled_in(std::move(options));
  enter("verify", config_.core.lifecycle);
  auto* old = entry.slot->current();
  if (old == nullptr)
    return Error{Code::unavailable, entry.config.slot + " is not running, so there is nothing to replace"};
  SwapOutcome outcome;
  outcome.from = facts_of(*old);
  const auto old_version = recorded(*old);
  change.note()["from"] = outcome.from;
  auto input = plan_input(entry, old, file);
  input.with_canary = options.canary_permille > 0;
  const auto judged = core::plan_swap(input);
  if (!judged.manifest.version.empty()) change.note()["to"] = json::object{{"version", judged.manifest.version}};
  if (auto allowed = judged.verdict(file); !allowed) return allowed.error();
  before.end("verify");

  const auto limit = config_.core.lifecycle;
  enter("load", limit);
  record_in_force(entry, old_version, file);
  const Attempt attempt(*this, entry, judged.manifest.version);
  auto next = make_generation(entry, file, judged.manifest);
  if (!next) return next.error();
  before.end("load");
  outcome.to = facts_of(**next);
  const auto next_version = recorded(**next);
  change.note()["to"] = outcome.to;
  enter("configure", limit);
  if (auto configured = (*next)->configure(judged.config, Deadline::after(limit)); !configured) {
    if ((*next)->retire(Deadline::after(config_.core.stop)).unmapped) remove_staged(next_version.path);
    return configured.error();
  }
  before.end("configure");
  // Probation has passed: what is left is the end of the old one. Recorded before anybody hears of it.
  const auto commit = [&]() -> Result<void> {
    auto recorded = record_commit(entry, next_version, file, &old_version, [&](SlotRecord& record) {
      // A swap of the same version changes its configuration: the version to go back to stays.
      if (old_version.digest != next_version.digest) record.previous = old_version;
      if (why == kConfigure) note_config(record, entry.config.config_json, entry.file_config);
    });
    if (!recorded) return recorded.error().context("record it");
    // The entry with the outcome comes when the old one has ended; a host that dies before that must not leave a gap.
    history_->add({{"slot", entry.config.slot},
                   {"action", "in_force"},
                   {"from", outcome.from},
                   {"to", outcome.to},
                   {"outcome", "recorded; what was before ends"}});
    {
      const std::lock_guard lock(mutex_);
      entry.manifest = judged.manifest;
      entry.config_json = judged.config;
      entry.note.clear();
    }
    door_.announce(*entry.slot, judged.manifest.provides);
    set_settled(entry, true);
    return {};
  };
  const Unsettled unsettled([&](bool settled) { set_settled(entry, settled); });
  Generation* fresh = next->get();
  Swap swap(*entry.slot, config_.core, options, log_,
            {enter, [&](bool quiet) { teller.hush(quiet); }, [&, fresh] { return record_pending(entry, *fresh); },
             commit, [&] { return why_given_up(entry); }});
  const auto swapped = swap.run(std::move(*next));
  outcome.report = std::move(swap.report());
  before.put_before(outcome.report.phases);
  outcome.report.total_ms = change.elapsed_ms();
  note_report(change.note(), outcome.report);
  if (!swapped) {
    forget_swap(entry);
    if (outcome.report.unmapped) remove_staged(next_version.path);
    return swapped.error();
  }
  forget_other_files(entry);
  note_zombies(entry, outcome.report, outcome.from);
  log_.write(FLYNN_LOG_INFO, entry.config.slot, "plugin_swapped",
             {{"why", why},
              {"from", old_version.version},
              {"to", next_version.version},
              {"total_ms", std::to_string(outcome.report.total_ms)},
              {"pause_ms", std::to_string(outcome.report.pause_ms)},
              {"unmapped", outcome.report.unmapped ? "yes" : "no"}});
  return outcome;
}

Result<SwapOutcome> Node::swap(const std::string& slot, const std::filesystem::path& file,
                               std::chrono::milliseconds drain, const SwapProgress& progress) {
  SwapOptions options;
  if (drain.count() > 0) options.drain = drain;
  return swap(slot, file, options, progress);
}

Result<SwapOutcome> Node::swap(const std::string& slot, const std::filesystem::path& file, const SwapOptions& options,
                               const SwapProgress& progress) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  return change_version(
      **entry, "swap", [&] { return file; }, options, progress);
}

Result<SwapOutcome> Node::change_version(SlotPlan& entry, const std::string& action, const FileChoice& choose,
                                         const SwapOptions& options, const SwapProgress& progress) {
  const auto& slot = entry.config.slot;
  auto change = begin_change(entry, action, options);
  if (!change) return change.error();
  auto file = choose();
  if (!file) {
    (*change)->set_outcome("refused: " + file.error().message);
    return file.error();
  }
  history_->add(
      {{"slot", slot}, {"action", "swap_begins"}, {"file", file->string()}, {"from", version_in_force(entry)}});
  // Of the file that is judged now; a refused one's is not that of what runs.
  const auto give_signature = [&](json::object signature) {
    const std::lock_guard lock(mutex_);
    return std::exchange(entry.signature, std::move(signature));
  };
  auto signature = give_signature({});
  auto outcome = entry.slot->current() == nullptr ? install(entry, *file, options, **change)
                                                  : replace(entry, *file, options, action, **change, progress);
  json::object note{{"slot", slot}, {"action", "swap"}, {"file", file->string()}};
  for (const auto& [member, value] : (*change)->note()) note[member] = value;
  const auto told = outcome ? std::string("committed") : failure_text(outcome.error());
  if (auto judged = newest_signature(entry); !judged.empty()) note["signature"] = std::move(judged);
  if (!outcome) give_signature(std::move(signature));
  note["outcome"] = told;
  history_->add(std::move(note));
  (*change)->set_outcome(told);
  if (!outcome) log_.write(FLYNN_LOG_WARN, slot, "swap_failed", {{"error", outcome.error().message}});
  return outcome;
}

// Which one that is, is known only when no other change runs any more.
Result<std::filesystem::path> Node::file_of_previous(const std::string& slot) {
  RecordedVersion version;
  {
    const std::lock_guard lock(mutex_);
    const auto& previous = record_.slot(slot).previous;
    if (!previous)
      return Error{Code::failed_precondition,
                   slot + " has not been swapped for another version, so there is none to go back to"};
    version = *previous;
  }
  if (digest_of_file(version.path).value_or("") != version.digest)
    return Error{Code::failed_precondition, "the kept file of " + slot + " " + version.version + " (" + version.path +
                                                ") is gone or was changed: swap in a file of that version instead"};
  history_->add({{"slot", slot},
                 {"action", "rollback_begins"},
                 {"to", {{"version", version.version}, {"digest", version.digest}}}});
  return std::filesystem::path(version.path);
}

Result<SwapOutcome> Node::roll_back(const std::string& slot, const SwapProgress& progress, const SwapOptions& options) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  if (const auto change = changes_.take_back(slot, options.who); change != 0)
    if (auto back = outcome_of_taken_back(slot, change, options)) return *back;
  return change_version(
      **entry, "rollback", [&] { return file_of_previous(slot); }, options, progress);
}

std::string Node::why_given_up(const SlotPlan& entry) const {
  if (stopping_) return "the node ends";
  const auto who = changes_.taken_back_by(entry.config.slot);
  return who.empty() ? who : who + " took it back";
}

// The change that was asked to go back says in the audit log what became of it. Nothing: its swap was in force by then,
// and is gone back from like any other.
std::optional<Result<SwapOutcome>> Node::outcome_of_taken_back(const std::string& slot, std::int64_t change,
                                                               const SwapOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  const auto wanted = [&] { return !stopping_ && (!options.wanted || options.wanted()); };
  if (!changes_.wait_for_end(slot, change, wanted))
    return Error{Code::cancelled, stopping_ ? "the node is ending" : "the operator left; what was asked is done"};
  json::object entry;
  for (const auto& line : history_->last(slot, kLastEntries))
    if (int_or(line.as_object(), "change") == change) entry = line.as_object();
  if (string_or(entry, "outcome").starts_with(kRolledBack)) {
    SwapOutcome outcome;
    outcome.taken_back = true;
    for (const auto& [member, place] : {std::pair{"to", &outcome.from}, std::pair{"from", &outcome.to}})
      if (const auto* version = find_object(entry, member)) *place = *version;
    outcome.report.total_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    outcome.report.unmapped = bool_or(entry, "unmapped");
    outcome.report.left_mapped_because = string_or(entry, "left_mapped_because");
    return outcome;
  }
  if (string_or(entry, "action") == "swap") return std::nullopt;
  return Error{Code::conflict, "the configuration of " + slot +
                                   " was in force before it could be taken back: give it the one it had before "
                                   "('flynn plugin history " +
                                   slot + "' has when it was changed)"};
}

Result<bool> Node::apply_config(SlotPlan& entry, const std::string& config_json, const SwapOptions& options,
                                SlotChange& change, const SwapProgress& progress) {
  auto judged = apply_config_schema(entry.manifest.config_schema, config_json);
  if (!judged) return judged.error();
  auto* current = entry.slot->current();
  if (current == nullptr) return Error{Code::unavailable, entry.config.slot + " is not running"};
  auto applied = current->configure(*judged, Deadline::after(config_.core.lifecycle));
  if (!applied && applied.error().code != Code::restart_required) return applied.error();
  if (applied) {
    if (auto recorded = record_config(entry, config_json); !recorded) {
      if (auto back = current->configure(entry.config_json, Deadline::after(config_.core.lifecycle)); !back)
        log_.write(FLYNN_LOG_ERROR, entry.config.slot, "configuration_not_given_back",
                   {{"error", back.error().message}});
      return recorded.error().context(std::string(kRolledBack) + ": record it");
    }
    const std::lock_guard state(mutex_);
    entry.config.config_json = config_json;
    entry.config_json = *judged;
    touched();
    return true;
  }
  const auto remember = [&](const std::string& config) {
    const std::lock_guard state(mutex_);
    return std::exchange(entry.config.config_json, config);
  };
  const auto before = remember(config_json);
  auto swapped = replace(entry, current->file().path, options, kConfigure, change, progress);
  if (swapped) return false;
  remember(before);
  return swapped.error();
}

Result<bool> Node::configure(const std::string& slot, const std::string& config_json, const SwapOptions& options,
                             const SwapProgress& progress) {
  auto entry = known(slot);
  if (!entry) return entry.error();
  auto change = begin_change(**entry, "configuration", options);
  if (!change) return change.error();
  const auto live = apply_config(**entry, config_json, options, **change, progress);
  json::object note{{"slot", slot}, {"action", "configure"}};
  for (const auto& [member, value] : (*change)->note()) note[member] = value;
  note["config_sha256"] = sha256_hex(config_json);  // never the values: some are secrets
  note["outcome"] = !live ? failure_text(live.error()) : *live ? "live" : "by a swap of the same version";
  (*change)->set_outcome(string_or(note, "outcome"));
  history_->add(std::move(note));
  return live;
}

}  // namespace flynn::core
