// Leadership: who may write for the cell, proven in every transaction.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "flynn/sdk/store.h"

namespace flynn::scheduler {

inline constexpr std::string_view kLeaderKey = "plugins/scheduler/leader";
inline constexpr std::chrono::milliseconds kLeaseTtl{10'000};

/// Holds the leader key under a lease. Its create revision is the fencing token: a transaction compares it, so whoever
/// lost the lead without noticing writes nothing. Thread: token, held and forget
/// [any], else one at a time.
class Leadership {
 public:
  /// `node` and `holder` (unique to this instance) are written into the key.
  Leadership(Door& door, std::string node, std::string holder);

  /// True when we lead. A leader of this same node is replaced at once: the host runs one active instance of a slot, so
  /// it is dead or being replaced, and the fence stops what it may still send. Another node's must expire first.
  Result<bool> try_acquire();
  /// not_found: lost.
  Result<void> renew();
  /// Lets a successor lead at once.
  void release();
  /// Leads on where the instance before it on this node left off: with its lease and its token.
  void adopt(std::string lease, std::int64_t token);

  const std::string& lease() const { return lease_; }
  std::int64_t token() const { return token_; }
  bool held() const { return token_ != 0; }
  void forget() { token_ = 0; }

 private:
  StoreClient store_;
  std::string node_, holder_, lease_;
  std::atomic<std::int64_t> token_ = 0;  // read by any thread
};

}  // namespace flynn::scheduler
