// The operator's changes of a running node: swap, roll back, configure; and what is recorded of them.
#include "config_schema.h"
#include "node.h"

namespace flynn::core {
namespace {

json::object facts_of(const Generation& generation) {
  return {{"version", generation.facts().manifest.version},
          {"digest", generation.file().digest},
          {"generation", generation.facts().number}};
}

RecordedVersion recorded(const Generation& generation) {
  return {generation.file().path.string(), generation.facts().manifest.version, generation.file().digest};
}

// The one change of a slot that may run. A health check that runs just now is waited for.
class Change {
 public:
  explicit Change(Slot& slot) : slot_(slot), begun_(slot.begin_change()) {
    if (begun_) slot_.lifecycle().lock();
  }
  ~Change() {
    if (!begun_) return;
    slot_.lifecycle().unlock();
    slot_.end_change();
  }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
  bool begun() const { return begun_; }

 private:
  Slot& slot_;
  bool begun_;
};

// Another version must stand in for the old one: the same plugin, with every interface that is in use.
Result<void> fits(const Manifest& next, const Manifest& old) {
  if (next.name != old.name)
    return Error{Code::failed_precondition,
                 "it is the plugin \"" + next.name + "\", but the slot holds \"" + old.name + "\""};
  std::string missing;
  for (const auto& interface : old.provides)
    if (!next.provides_interface(interface)) missing += (missing.empty() ? "" : ", ") + interface.text();
  if (!missing.empty())
    return Error{Code::failed_precondition, "it does not provide " + missing + ", as the version in force does"};
  return {};
}

}  // namespace

Result<void> Node::record_pending(SlotPlan& entry, const Generation& next) {
  const std::lock_guard lock(mutex_);
  record_.slot(entry.config.slot).pending = recorded(next);
  return record_.save();
}

void Node::record_commit(SlotPlan& entry, const RecordedVersion& next) {
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  record.pending.reset();
  record.current = next;
  record.configured_digest = digest_of_file(entry.config.path).value_or("");
  if (auto saved = record_.save(); !saved)
    log_.write(FLYNN_LOG_ERROR, entry.config.slot, "record_not_saved", {{"error", saved.error().message}});
  record_.forget_other_files(entry.config.slot, images_of(entry.config.slot));
  touched();
}

void Node::note_zombies(SlotPlan& entry, const SwapReport& report, const json::object& from) {
  if (report.unmapped) return;
  const std::lock_guard lock(mutex_);
  entry.zombies.push_back("generation " + std::to_string(int_or(from, "generation")) + ": " +
                          report.left_mapped_because);
}

Result<SwapOutcome> Node::replace(SlotPlan& entry, const std::filesystem::path& file, std::chrono::milliseconds drain,
                                  const std::string& why, const SwapProgress& progress) {
  if (progress) progress("verify", 0);
  auto manifest = verify_plugin(file);
  if (!manifest) return manifest.error();
  auto* old = entry.slot->current();
  if (old == nullptr)
    return Error{Code::unavailable, entry.config.slot + " is not running, so there is nothing to replace"};
  if (auto suits = fits(*manifest, old->facts().manifest); !suits) return suits.error().context(file.string());
  if (const auto missing = missing_for(*manifest); !missing.empty())
    return Error{Code::failed_precondition,
                 file.string() + " requires " + missing + ", which no running plugin provides"};
  auto config = apply_config_schema(manifest->config_schema, entry.config.config_json);
  if (!config)
    return config.error().context("the configuration of " + entry.config.slot + " does not suit " + file.string());

  SwapOutcome outcome;
  outcome.from = facts_of(*old);
  const auto old_version = recorded(*old);
  if (progress) progress("load", 0);
  auto next = make_generation(entry, file, *manifest);
  if (!next) return next.error();
  outcome.to = facts_of(**next);
  const auto next_version = recorded(**next);
  if (auto configured = (*next)->configure(*config, Deadline::after(config_.core.lifecycle)); !configured) {
    (*next)->retire(Deadline::after(config_.core.stop));
    return configured.error();
  }
  Generation* fresh = next->get();
  Swap swap(*entry.slot, config_.core, log_, {progress, [&, fresh] { return record_pending(entry, *fresh); }});
  auto report = swap.run(std::move(*next), drain);
  if (!report) {
    const std::lock_guard lock(mutex_);
    record_.slot(entry.config.slot).pending.reset();
    if (auto saved = record_.save(); !saved) log_.error("record_not_saved", {{"error", saved.error().message}});
    return report.error();
  }
  {
    const std::lock_guard lock(mutex_);
    // A swap of the same version changes its configuration: the version to go back to stays.
    if (old_version.digest != next_version.digest) record_.slot(entry.config.slot).previous = old_version;
    entry.manifest = *manifest;
    entry.config_json = *config;
  }
  record_commit(entry, next_version);
  door_.announce(*entry.slot, manifest->provides);
  note_zombies(entry, *report, outcome.from);
  outcome.report = std::move(*report);
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
  auto* entry = plan(slot);
  if (entry == nullptr)
    return Error{Code::not_found, "there is no slot \"" + slot + "\" (flynn plugin list shows all)"};
  const Change change(*entry->slot);
  if (!change.begun())
    return Error{Code::conflict, "another change of " + slot + " is running: wait for it and try again"};
  auto outcome = replace(*entry, file, drain.count() > 0 ? drain : config_.core.drain, "swap", progress);
  json::object note{{"slot", slot}, {"action", "swap"}, {"file", file.string()}};
  if (outcome) {
    note["from"] = outcome->from;
    note["to"] = outcome->to;
    note["total_ms"] = outcome->report.total_ms;
  }
  note["outcome"] = outcome ? std::string("committed") : "refused or rolled back: " + outcome.error().message;
  history_->add(std::move(note));
  if (!outcome) log_.write(FLYNN_LOG_WARN, slot, "swap_failed", {{"error", outcome.error().message}});
  return outcome;
}

Result<SwapOutcome> Node::roll_back(const std::string& slot, const SwapProgress& progress) {
  auto* entry = plan(slot);
  if (entry == nullptr)
    return Error{Code::not_found, "there is no slot \"" + slot + "\" (flynn plugin list shows all)"};
  std::filesystem::path file;
  {
    const std::lock_guard lock(mutex_);
    const auto& previous = record_.slot(slot).previous;
    if (!previous)
      return Error{Code::failed_precondition, slot + " has not been swapped, so there is no version to go back to"};
    file = previous->path;
  }
  return swap(slot, file, std::chrono::milliseconds(0), progress);
}

Result<bool> Node::configure(const std::string& slot, const std::string& config_json) {
  auto* entry = plan(slot);
  if (entry == nullptr)
    return Error{Code::not_found, "there is no slot \"" + slot + "\" (flynn plugin list shows all)"};
  const Change change(*entry->slot);
  if (!change.begun())
    return Error{Code::conflict, "another change of " + slot + " is running: wait for it and try again"};
  auto judged = apply_config_schema(entry->manifest.config_schema, config_json);
  if (!judged) return judged.error();
  auto* current = entry->slot->current();
  if (current == nullptr) return Error{Code::unavailable, slot + " is not running"};
  auto applied = current->configure(*judged, Deadline::after(config_.core.lifecycle));
  if (!applied && applied.error().code != Code::restart_required) return applied.error();
  const auto before = entry->config.config_json;
  entry->config.config_json = config_json;
  if (!applied) {
    auto swapped = replace(*entry, current->file().path, config_.core.drain, "configure", {});
    if (!swapped) {
      entry->config.config_json = before;
      return swapped.error();
    }
  } else {
    const std::lock_guard state(mutex_);
    entry->config_json = *judged;
  }
  record_config(*entry);
  history_->add(
      {{"slot", slot}, {"action", "configure"}, {"outcome", applied ? "live" : "by a swap of the same version"}});
  return applied.ok();
}

}  // namespace flynn::core
