// KeySpace: the ordered keys in memory, and Staging, a layer of changes over it that can be dropped or absorbed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace flynn::store {

using Revision = std::int64_t;
using LeaseId = std::uint64_t;  // 0: none

/// One key's value and history numbers. Copies are cheap: the text is shared and immutable.
struct Entry {
  std::shared_ptr<const std::string> value;  // JSON text
  Revision create_revision = 0;
  Revision mod_revision = 0;
  std::int64_t version = 0;
  LeaseId lease = 0;
  std::int64_t record_id = 0;  // where the journal keeps it
};

struct Row {
  std::string key;
  Entry entry;
};

/// Keys in [from, to); `to` absent: to the end.
struct KeyInterval {
  std::string from;
  std::optional<std::string> to;

  static KeyInterval of_prefix(std::string_view prefix);
  static KeyInterval of_key(std::string_view key);
  bool contains(std::string_view key) const;
  bool overlaps(const KeyInterval& other) const;
};

/// What reads need. Pointers and views are valid until the next change.
class KeyView {
 public:
  struct Item {
    std::string_view key;
    const Entry* entry;
  };

  virtual ~KeyView() = default;
  /// Null when absent.
  virtual const Entry* find(std::string_view key) const = 0;
  /// In key order.
  virtual std::vector<Item> scan(const KeyInterval& interval) const = 0;
  /// The keys that live under a lease.
  virtual std::set<std::string> keys_of_lease(LeaseId lease) const = 0;
};

/// Pure, in memory. Thread: one writer; readers are kept apart by the owner.
class KeySpace : public KeyView {
 public:
  const Entry* find(std::string_view key) const override;
  std::vector<Item> scan(const KeyInterval& interval) const override;
  std::set<std::string> keys_of_lease(LeaseId lease) const override;

  void put(const std::string& key, Entry entry);
  void erase(const std::string& key);
  std::size_t size() const { return entries_.size(); }

 private:
  void detach(const std::string& key, LeaseId lease);

  std::map<std::string, Entry, std::less<>> entries_;
  std::unordered_map<LeaseId, std::set<std::string>> by_lease_;
};

/// Changes over `base`, which it borrows and which must not change meanwhile.
class Staging : public KeyView {
 public:
  explicit Staging(const KeyView& base) : base_(base) {}

  const Entry* find(std::string_view key) const override;
  std::vector<Item> scan(const KeyInterval& interval) const override;
  std::set<std::string> keys_of_lease(LeaseId lease) const override;

  void put(const std::string& key, Entry entry) { changes_[key] = std::move(entry); }
  void erase(const std::string& key) { changes_[key] = std::nullopt; }
  /// Takes over the changes of a layer that stood on this one.
  void absorb(Staging&& upper);
  void apply_to(KeySpace& target) const;

 private:
  const KeyView& base_;
  std::map<std::string, std::optional<Entry>, std::less<>> changes_;
};

}  // namespace flynn::store
