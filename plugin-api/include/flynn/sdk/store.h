// StoreClient: typed access to flynn.store/1 (contract: plugin-api/interfaces/store.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/host.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/worker.h"

namespace flynn {

struct KeyValue {
  std::string key;
  json::value value;  // null in a delete event
  std::int64_t create_revision = 0, mod_revision = 0, version = 0;
  std::string lease;
};

struct RangeResult {
  std::vector<KeyValue> kvs;
  std::int64_t revision = 0;
};

/// A transaction under construction: store.txn().if_mod(key, rev).put(key, value).commit().
class StoreTxn {
 public:
  explicit StoreTxn(Door& door) : door_(door) {}

  /// Holds when the key's mod_revision is `revision`; 0: the key is absent.
  StoreTxn& if_mod(std::string_view key, std::int64_t revision);
  /// Holds when the key's create_revision is `revision`: the fencing compare of leaders.
  StoreTxn& if_create(std::string_view key, std::int64_t revision);
  StoreTxn& if_absent(std::string_view key) { return if_mod(key, 0); }
  StoreTxn& if_exists(std::string_view key);
  StoreTxn& put(std::string_view key, json::value value, std::string_view lease = {});
  StoreTxn& erase(std::string_view key);
  StoreTxn& erase_prefix(std::string_view prefix);

  std::size_t operations() const { return then_.size(); }
  /// The revision after it. `conflict` when a compare did not hold (nothing was written).
  Result<std::int64_t> commit(std::chrono::milliseconds timeout = 10s);

 private:
  Door& door_;
  json::array compare_, then_;
};

/// Thread: [any]. Borrows the door.
class StoreClient {
 public:
  explicit StoreClient(Door& door) : door_(door) {}

  /// nullopt when absent.
  Result<std::optional<KeyValue>> get(std::string_view key);
  /// All keys below the prefix in key order, read page by page; consistent unless it needs more than one page of
  /// 10,000.
  Result<RangeResult> range(std::string_view prefix);
  Result<std::int64_t> put(std::string_view key, json::value value, std::string_view lease = {});
  Result<std::int64_t> erase(std::string_view key);
  StoreTxn txn() { return StoreTxn(door_); }

  Result<std::string> grant_lease(std::chrono::milliseconds ttl);
  /// not_found when it has expired.
  Result<void> keep_lease_alive(std::string_view lease);
  Result<void> revoke_lease(std::string_view lease);

  /// The raw stream of changes from `from_revision` (0: from now).
  Result<LineReader> watch(std::string_view prefix, std::int64_t from_revision);

 private:
  Door& door_;
};

enum class EventKind { put, erase };
struct StoreEvent {
  EventKind kind = EventKind::put;
  KeyValue kv;  // of an erase: key and mod_revision
};

/// What a mirror tells its owner, on the mirror's thread.
struct StoreMirrorHandler {
  /// The whole range: at first, and again after history was compacted under us.
  std::function<void(const RangeResult&)> on_snapshot;
  /// The changes of one revision, in order, none skipped and none twice.
  std::function<void(std::int64_t revision, const std::vector<StoreEvent>&)> on_events;
};

/// Keeps its owner told of every key below a prefix, through swaps and failures of the store: a snapshot, then events;
/// reopens the watch from the last revision when it ends. Thread: start and stop [control]; handlers on its own thread.
class StoreMirror {
 public:
  StoreMirror(Door& door, Log& log, std::string prefix, StoreMirrorHandler handler);
  ~StoreMirror() { stop(); }

  /// `thread_name`: at most 15 characters.
  void start(const std::string& thread_name);
  void stop() { worker_.stop(); }
  /// Does not wait, for an owner of several that stops them together.
  void ask_stop() { worker_.ask_stop(); }

 private:
  void run(const StopSignal& stop);
  bool follow(const StopSignal& stop, std::int64_t& next_revision);

  Door& door_;
  Log& log_;
  std::string prefix_;
  StoreMirrorHandler handler_;
  Worker worker_;
};

/// Of one line of a watch: its events. Shared by StoreMirror and by readers of the raw stream.
Result<std::vector<StoreEvent>> parse_watch_events(const json::object& line);

}  // namespace flynn
