// What of a change is made durable, and when: before anybody is told of it
// (docs/decisions/0025-recorded-before-told.md).
#include <sys/stat.h>

#include <ctime>

#include "node.h"
#include "runtime_config.h"

namespace flynn::core {
namespace {

bool same_file(const std::filesystem::path& one, const std::filesystem::path& other) {
  std::error_code failure;
  return std::filesystem::equivalent(one, other, failure);
}

// A file whose facts are the same was not changed, unless that was so short ago that its times can't tell.
std::string digest_of_known(KnownFile& known, const std::filesystem::path& file) {
  constexpr std::int64_t kTellApartSeconds = 2;
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0) return {};
  const KnownFile now{facts.st_ino, facts.st_dev, facts.st_size, facts.st_ctim.tv_sec, facts.st_ctim.tv_nsec, {}};
  if (!known.digest.empty() && now.is_as(known)) return known.digest;
  auto digest = digest_of_file(file).value_or("");
  known = now;
  if (facts.st_ctim.tv_sec + kTellApartSeconds < ::time(nullptr)) known.digest = digest;
  return digest;
}

// Digests only where the sizes allow it: this is read at every swap.
std::string digest_if_equal(KnownFile& known, const std::filesystem::path& one, const std::filesystem::path& other) {
  if (same_file(one, other)) return digest_of_known(known, one);
  std::error_code failure;
  const auto size = std::filesystem::file_size(one, failure);
  if (failure || size != std::filesystem::file_size(other, failure) || failure) return {};
  const auto digest = digest_of_file(one);
  return digest && *digest == digest_of_file(other).value_or("") ? *digest : std::string();
}

}  // namespace

// A file that was replaced where the configuration names it would otherwise boot instead of the version that it failed
// to follow.
bool Node::record_in_force(SlotPlan& entry, const RecordedVersion& running, const std::filesystem::path& next) {
  const auto configured = next.empty() ? std::string() : digest_if_equal(entry.configured, entry.config.path, next);
  const auto known = [&] {
    const std::lock_guard lock(mutex_);
    auto& record = record_.slot(entry.config.slot);
    if (!configured.empty()) record.configured_digest = configured;
    return record.current && record.current->digest == running.digest;
  };
  // A copy in run_dir does not outlive a boot.
  if (known() || std::filesystem::path(running.path).parent_path() != images_of(entry.config.slot)) return false;
  const auto synced = sync_staged(running.path);
  if (!synced) log_.write(FLYNN_LOG_WARN, entry.config.slot, "version_not_kept", {{"error", synced.error().message}});
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  if (record.current) record.previous = record.current;
  record.current = running;
  return true;
}

// So that there is a last good version also of what was never swapped: a file that is replaced while the node is down.
void Node::record_what_serves(SlotPlan& entry) {
  const auto* generation = entry.slot->current();
  const bool up = [&] {
    const std::lock_guard lock(mutex_);
    return entry.status.state == "up";
  }();
  if (generation == nullptr || !up) return;
  const RecordedVersion running{generation->file().path.string(), generation->facts().manifest.version,
                                generation->file().digest};
  if (!record_in_force(entry, running, {})) return;
  const std::lock_guard state(mutex_);
  save_or_log(entry.config.slot);
}

void Node::save_or_log(const std::string& slot) {
  if (auto saved = record_.save(); !saved)
    log_.write(FLYNN_LOG_ERROR, slot, "record_not_saved",
               {{"error", saved.error().message},
                {"effect", "the next start of the host may not know what happened since the last record"}});
}

Result<void> Node::record_pending(SlotPlan& entry, const Generation& next) {
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  record.pending = {next.file().path.string(), next.facts().manifest.version, next.file().digest};
  record.attempt.clear();
  return record_.save();
}

Result<void> Node::record_commit(SlotPlan& entry, const RecordedVersion& next, const std::filesystem::path& file,
                                 const RecordedVersion* old, const RecordChange& also) {
  // What the record names must be whole after a power cut. Slow, so nobody waits for it at the lock.
  const auto configured =
      same_file(entry.config.path, file) ? next.digest : digest_of_file(entry.config.path).value_or("");
  if (auto synced = sync_staged(next.path); !synced) return synced.error();
  if (old != nullptr)
    if (auto synced = sync_staged(old->path); !synced) return synced.error();
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  const auto before = record;
  record.pending.reset();
  record.attempt.clear();
  record.current = next;
  record.configured_digest = configured;
  if (also) also(record);
  auto saved = record_.save();
  if (!saved) record = before;
  return saved;
}

Result<void> Node::record_config(SlotPlan& entry, const std::string& config_json) {
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  const auto before = record;
  note_config(record, config_json, entry.file_config);
  auto saved = record_.save();
  if (!saved) record = before;
  return saved;
}

void Node::forget_swap(SlotPlan& entry) {
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  if (!record.pending && record.attempt.empty()) return;
  record.pending.reset();
  record.attempt.clear();
  save_or_log(entry.config.slot);
}

void Node::forget_other_files(SlotPlan& entry) {
  const std::lock_guard lock(mutex_);
  record_.forget_other_files(entry.config.slot, images_of(entry.config.slot));
  touched();
}

}  // namespace flynn::core
