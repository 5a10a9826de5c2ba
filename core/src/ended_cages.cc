#include "ended_cages.h"

#include <algorithm>
#include <utility>

namespace flynn::core {

std::size_t next_to_revive(const std::vector<std::string>& waiting, const std::multiset<std::string>& busy,
                           const std::function<SlotNeeds(const std::string& slot)>& needs) {
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (busy.contains(waiting[i])) continue;
    const auto needed = needs(waiting[i]);
    const auto away = [&](const std::string& slot) { return slot != waiting[i] && needed.contains(slot); };
    if (std::none_of(waiting.begin(), waiting.end(), away) && std::none_of(busy.begin(), busy.end(), away)) return i;
  }
  return busy.empty() ? 0 : waiting.size();
}

void EndedCages::start(std::size_t threads, Revive revive, Needs needs) {
  revive_ = std::move(revive);
  needs_ = std::move(needs);
  {
    const std::lock_guard lock(mutex_);
    open_ = true;
  }
  for (std::size_t i = 0; i < std::min(threads, kRevivesAtOnceMax); ++i)
    workers_.emplace_back().start("cage-revive", [this](const StopSignal&) { run(); });
}

void EndedCages::stop() {
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
    ended_.clear();
  }
  changed_.notify_all();
  workers_.clear();
}

void EndedCages::add(EndedCage ended) {
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return;
    ended_.push_back(std::move(ended));
  }
  changed_.notify_all();
}

// Under mutex_.
bool EndedCages::take(EndedCage& taken) {
  if (ended_.empty()) return false;
  std::vector<std::string> waiting;
  for (const auto& ended : ended_) waiting.push_back(ended.slot);
  const auto place = next_to_revive(waiting, busy_, needs_);
  if (place >= waiting.size()) return false;
  const auto chosen = std::next(ended_.begin(), static_cast<std::ptrdiff_t>(place));
  taken = std::move(*chosen);
  ended_.erase(chosen);
  busy_.insert(taken.slot);
  return true;
}

// Under mutex_. One that is on its way now may have asked this slot while it was away, and be down in a moment.
void EndedCages::put_back(const std::string& slot, const std::vector<std::string>& waited) {
  busy_.erase(slot);
  for (const auto& other : busy_)
    if (needs_(other).contains(slot)) again_.insert(other);
  if (!open_) return;
  for (const auto& other : waited)
    if (!busy_.contains(other)) ended_.push_back({other, -1, {}});
  if (again_.erase(slot) != 0) ended_.push_back({slot, -1, {}});
}

void EndedCages::run() {
  std::unique_lock lock(mutex_);
  EndedCage ended;
  while (true) {
    changed_.wait(lock, [&] { return !open_ || take(ended); });
    if (!open_) return;
    lock.unlock();
    const auto waited = revive_(ended);
    lock.lock();
    put_back(ended.slot, waited);
    changed_.notify_all();
  }
}

}  // namespace flynn::core
