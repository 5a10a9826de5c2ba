#include "key_space.h"

namespace flynn::store {

KeyInterval KeyInterval::of_prefix(std::string_view prefix) {
  KeyInterval interval{std::string(prefix), std::string(prefix)};
  // The successor of a prefix: its last byte that can be raised, raised.
  while (!interval.to->empty() && static_cast<unsigned char>(interval.to->back()) == 0xff) interval.to->pop_back();
  if (interval.to->empty()) {
    interval.to.reset();
  } else {
    interval.to->back() = static_cast<char>(static_cast<unsigned char>(interval.to->back()) + 1);
  }
  return interval;
}

KeyInterval KeyInterval::of_key(std::string_view key) {
  std::string next(key);
  next.push_back('\0');
  return KeyInterval{std::string(key), std::move(next)};
}

bool KeyInterval::contains(std::string_view key) const { return key >= from && (!to || key < *to); }

bool KeyInterval::overlaps(const KeyInterval& other) const {
  return (!to || other.from < *to) && (!other.to || from < *other.to);
}

const Entry* KeySpace::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<KeyView::Item> KeySpace::scan(const KeyInterval& interval) const {
  std::vector<Item> items;
  for (auto at = entries_.lower_bound(interval.from); at != entries_.end(); ++at) {
    if (interval.to && at->first >= *interval.to) break;
    items.push_back({at->first, &at->second});
  }
  return items;
}

std::set<std::string> KeySpace::keys_of_lease(LeaseId lease) const {
  const auto found = by_lease_.find(lease);
  return found == by_lease_.end() ? std::set<std::string>() : found->second;
}

void KeySpace::put(const std::string& key, Entry entry) {
  auto& slot = entries_[key];
  if (slot.lease != entry.lease) {
    detach(key, slot.lease);
    if (entry.lease != 0) by_lease_[entry.lease].insert(key);
  }
  slot = std::move(entry);
}

void KeySpace::erase(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  detach(key, found->second.lease);
  entries_.erase(found);
}

void KeySpace::detach(const std::string& key, LeaseId lease) {
  const auto found = by_lease_.find(lease);
  if (found == by_lease_.end()) return;
  found->second.erase(key);
  if (found->second.empty()) by_lease_.erase(found);
}

const Entry* Staging::find(std::string_view key) const {
  const auto found = changes_.find(key);
  if (found == changes_.end()) return base_.find(key);
  return found->second ? &*found->second : nullptr;
}

std::vector<KeyView::Item> Staging::scan(const KeyInterval& interval) const {
  auto below = base_.scan(interval);
  auto change = changes_.lower_bound(interval.from);
  const auto inside = [&] { return change != changes_.end() && (!interval.to || change->first < *interval.to); };
  if (!inside()) return below;

  std::vector<Item> merged;
  merged.reserve(below.size() + 1);
  auto at = below.begin();
  while (at != below.end() || inside()) {
    if (!inside() || (at != below.end() && at->key < change->first)) {
      merged.push_back(*at++);
      continue;
    }
    if (at != below.end() && at->key == change->first) ++at;  // the change stands over it
    if (change->second) merged.push_back({change->first, &*change->second});
    ++change;
  }
  return merged;
}

std::set<std::string> Staging::keys_of_lease(LeaseId lease) const {
  auto keys = base_.keys_of_lease(lease);
  for (const auto& [key, entry] : changes_) {
    if (entry && entry->lease == lease)
      keys.insert(key);
    else
      keys.erase(key);
  }
  return keys;
}

void Staging::absorb(Staging&& upper) {
  for (auto& [key, entry] : upper.changes_) changes_[key] = std::move(entry);
}

void Staging::apply_to(KeySpace& target) const {
  for (const auto& [key, entry] : changes_) {
    if (entry)
      target.put(key, *entry);
    else
      target.erase(key);
  }
}

}  // namespace flynn::store
