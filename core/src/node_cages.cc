// A cage that ended by itself: its slot gets a new one at once, and what crashed is judged as after a crash of the
// host.
#include <algorithm>

#include "node.h"

namespace flynn::core {

// A cage that is killed at each of so many starts in a row is started again only by tend(), which waits ever longer.
constexpr int kKillsInARowMax = 4;

// On the yard's thread: soon done.
void Node::cage_ended(const Cage& cage) { ended_cages_.add({cage.slot(), cage.pid(), cage.end().value_or(CageEnd{})}); }

// False when it is no longer the slot's.
bool Node::put_away(SlotPlan& entry, const EndedCage& ended) {
  auto* current = entry.slot->current();
  if (current->cage() == nullptr || current->cage()->pid() != ended.process) return false;
  auto gone = entry.slot->set_current(nullptr);
  // Their lanes are closed: they leave by themselves.
  wait_until_unguarded(*gone, Deadline::after(config_.core.stop));
  gone->retire(Deadline::after(config_.core.stop));
  if (ended.end.fault) {
    settle_cage_crash(entry, {ended.slot, gone->file().digest, ended.end.words + " in its cage"});
  } else {
    // From outside: the operator, or the kernel for want of memory. No fault of the version.
    history_->add(
        {{"slot", ended.slot}, {"action", "cage_killed"}, {"outcome", ended.end.words + "; it was started again"}});
    log_.write(FLYNN_LOG_WARN, ended.slot, "cage_ended", {{"how", ended.end.words}});
  }
  return true;
}

std::vector<std::string> Node::revive(const EndedCage& ended) {
  auto* entry = plan(ended.slot);
  if (entry == nullptr || stopping_) return {};
  {
    const std::lock_guard lock(entry->slot->lifecycle());
    if (entry->slot->current() != nullptr) {
      if (!put_away(*entry, ended)) return {};  // of a swap, which has seen to it
    } else if (ended.end.fault || entry->retry_wait > config_.core.retry_min * (1 << kKillsInARowMax)) {
      return {};  // it did not come up: tend() tries again
    }
    if (!stays_quarantined(*entry)) start_now(*entry);
    if (entry->slot->current() == nullptr) return {};
  }
  return down_for_want_of(ended.slot);
}

// Tried in vain while that slot was away.
std::vector<std::string> Node::down_for_want_of(const std::string& slot) {
  std::vector<std::string> waiting;
  for (const auto& entry : plans_) {
    if (entry->slot->current() != nullptr || entry->quarantined) continue;
    {
      const std::lock_guard lock(mutex_);
      if (entry->status.state != "failed" && (entry->status.state != "waiting" || !booted_)) continue;
    }
    if (needs_of(entry->config.slot).contains(slot)) waiting.push_back(entry->config.slot);
  }
  return waiting;
}

SlotNeeds Node::needs_of(const std::string& slot) {
  const std::lock_guard lock(mutex_);  // a swap changes manifests
  SlotNeeds found;
  std::vector<const SlotPlan*> left{plan(slot)};
  while (!left.empty()) {
    const auto* one = left.back();
    left.pop_back();
    if (one == nullptr) continue;
    for (const auto& other : plans_) {
      const auto& wanted = one->manifest.requires_;
      if (std::any_of(wanted.begin(), wanted.end(),
                      [&](const auto& id) { return other->manifest.provides_interface(id); }) &&
          found.insert(other->config.slot).second)
        left.push_back(other.get());
    }
  }
  return found;
}

void Node::settle_cage_crash(SlotPlan& entry, const CrashNote& crash) {
  const std::lock_guard lock(mutex_);
  auto& record = record_.slot(entry.config.slot);
  settle_crash(entry, record, crash);
  save_or_log(entry.config.slot);
  // Perhaps another version now.
  entry.manifest.name.clear();
}

}  // namespace flynn::core
