// Who may come in, and what is written down of it.
#include "node.h"
#include "version.h"

namespace flynn::core {

// Judges the private copy: between this and the mapping nobody can change it.
Result<void> Node::admit(SlotPlan& entry, const std::filesystem::path& file, const StagedFile& staged,
                         const Manifest& manifest) {
  auto found = verify_plugin(staged.path);
  if (!found) return found.error();
  if (found->text != manifest.text)
    return Error{Code::conflict, file.string() + " was changed while it was being read: try again"};
  const auto status = signature_status(config_.trust, staged.path, staged.digest, manifest.name);
  bool told = false;
  {
    const std::lock_guard lock(mutex_);
    entry.signature = status.document();
    told = entry.judged_digest == staged.digest;
    entry.judged_digest = staged.digest;
  }
  if (status.state == SignatureStatus::State::valid || status.policy == TrustPolicy::off) return {};
  // A plugin that is tried again and again is told of once.
  if (!told) {
    log_.write(FLYNN_LOG_WARN, entry.config.slot, status.refused ? "signature_refused" : "signature_missing",
               {{"file", file.string()}, {"digest", staged.digest}, {"why", status.words}});
    history_->add(
        {{"slot", entry.config.slot},
         {"action", status.refused ? "signature_refused" : "signature_warning"},
         {"file", file.string()},
         {"to", {{"version", manifest.version}, {"digest", staged.digest}}},
         {"signature", status.document()},
         {"outcome", status.refused ? "not loaded: " + status.words : "loaded all the same: " + status.words}});
  }
  if (!status.refused) return {};
  return Error{Code::permission_denied, file.string() + " is not loaded: " + status.words};
}

// During the boot one entry tells of all; later each start is an event.
void Node::audit_start(SlotPlan& entry, const std::string& outcome) {
  if (!booted_ || entry.told_outcome == outcome) return;
  entry.told_outcome = outcome;
  json::object note{{"slot", entry.config.slot}, {"action", "load"}, {"outcome", outcome}};
  {
    const std::lock_guard lock(mutex_);
    note["to"] = version_in_force(entry);
    if (!entry.signature.empty()) note["signature"] = entry.signature;
  }
  history_->add(std::move(note));
}

json::object Node::version_in_force(const SlotPlan& entry) const {
  json::object version{{"version", entry.manifest.version}};
  const HazardGuard<Generation> guard(entry.slot->current_place());
  if (const auto* generation = guard.get()) {
    version["digest"] = generation->file().digest;
    version["generation"] = generation->facts().number;
  }
  return version;
}

json::object Node::newest_signature(const SlotPlan& entry) const {
  const std::lock_guard lock(mutex_);
  return entry.signature;
}

void Node::audit_boot() {
  json::array plugins;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& entry : plans_) {
      auto row = version_in_force(*entry);
      row["slot"] = entry->config.slot;
      row["state"] = entry->status.state;
      if (!entry->status.reason.empty()) row["reason"] = entry->status.reason;
      if (!entry->signature.empty()) row["signature"] = entry->signature;
      plugins.push_back(std::move(row));
    }
  }
  history_->add({{"action", "boot"},
                 {"host", kVersion},
                 {"node", config_.node},
                 {"config_sha256", digest_of_file(config_.file).value_or("")},
                 {"outcome", std::to_string(plugins.size()) + " plugins"},
                 {"plugins", std::move(plugins)}});
  booted_at_ = std::chrono::steady_clock::now();
  booted_ = true;
}

}  // namespace flynn::core
