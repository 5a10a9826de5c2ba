// LeaseTable: which leases live, and until when. Pure: time is passed in.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"
#include "key_space.h"

namespace flynn::store {

using LeaseClock = std::chrono::steady_clock;

std::string lease_text(LeaseId lease);
/// nullopt when the text can't be a lease's.
std::optional<LeaseId> lease_from_text(std::string_view text);

/// A lease ends at its deadline: from then on it can be neither renewed nor written under, even before its keys are
/// gone. Thread: guarded by the owner.
class LeaseTable {
 public:
  using Time = LeaseClock::time_point;

  void add(LeaseId lease, std::chrono::milliseconds ttl, Time now);
  void remove(LeaseId lease) { leases_.erase(lease); }
  /// The TTL, counted from `now` again; not_found when expired or unknown.
  Result<std::chrono::milliseconds> keep_alive(LeaseId lease, Time now);
  bool known(LeaseId lease) const { return leases_.contains(lease); }
  bool alive(LeaseId lease, Time now) const;
  std::vector<LeaseId> expired(Time now);
  /// No lease ends before this (a renewal only moves ends away, so it may be early); nullopt: there is none.
  std::optional<Time> next_check() const;
  /// Every lease gets its full TTL again: a provider's downtime never shortens one.
  void restart_all(Time now);
  std::size_t size() const { return leases_.size(); }

 private:
  struct Lease {
    std::chrono::milliseconds ttl;
    Time deadline;
  };
  std::map<LeaseId, Lease> leases_;
  Time next_check_ = Time::max();  // spares a scan of all leases at every look
};

}  // namespace flynn::store
