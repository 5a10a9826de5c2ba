// StoreState: what reads, watches and the writer share.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "event_history.h"
#include "key_space.h"
#include "lease_table.h"
#include "store_limits.h"

namespace flynn::store {

/// Holds only what is durable: the writer applies a batch after its COMMIT. Thread: [any] through the locks; `keys` and
/// `revision` are changed by the writer's thread alone, which therefore reads them without a lock.
struct StoreState {
  StoreState(KeySpace loaded, Revision head, Revision compacted)
      : keys(std::move(loaded)),
        revision(head),
        compact_revision(compacted),
        history(head, kHistoryMemoryBytes, kHistoryTailBytes) {}

  std::shared_lock<std::shared_mutex> read_lock() const {
    const std::lock_guard turn(turnstile_);
    return std::shared_lock(keys_mutex_);
  }
  /// Glibc prefers readers: without the turnstile a stream of them would keep the writer out.
  template <typename Change>
  void change(Change apply) {
    const std::lock_guard turn(turnstile_);
    const std::unique_lock lock(keys_mutex_);
    apply();
  }

  KeySpace keys;      // read_lock()
  Revision revision;  // read_lock()
  std::atomic<Revision> compact_revision;

  std::mutex lease_mutex;
  LeaseTable leases;  // lease_mutex

  EventHistory history;

 private:
  mutable std::mutex turnstile_;
  mutable std::shared_mutex keys_mutex_;
};

}  // namespace flynn::store
