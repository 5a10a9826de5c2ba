// Changes to the cell, packed into fenced transactions.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "flynn/sdk/store.h"

namespace flynn::scheduler {

inline constexpr std::size_t kBatchOperationsMax = 100;

/// What belongs together: all of it is written or nothing.
struct Change {
  std::string subject;                                          // a job id, for the report
  std::vector<std::pair<std::string, std::int64_t>> unchanged;  // key, mod revision it was planned from
  std::vector<std::pair<std::string, std::int64_t>> alive;      // host key, create revision
  std::vector<std::pair<std::string, json::object>> puts;
  std::vector<std::string> erases;

  std::size_t operations() const { return unchanged.size() + alive.size() + puts.size() + erases.size(); }
};

struct CommitOutcome {
  std::int64_t revision = 0;           // of the last transaction, 0: none
  std::vector<std::string> committed;  // subjects
  std::vector<std::string> conflicts;  // subjects whose state has moved on: plan them again
};

/// Commits in as few transactions as fit. A batch that conflicts is tried change by change, so that one stale change
/// costs only itself. Errors: conflict when `leader_token` is not the leader's any more; else what the store says, and
/// what was committed before it stays.
class Committer {
 public:
  Committer(Door& door, std::string leader_key) : store_(door), leader_key_(std::move(leader_key)) {}
  Result<CommitOutcome> commit(const std::vector<Change>& changes, std::int64_t leader_token);
  /// In one transaction or not at all; conflict when any part of it is stale.
  Result<CommitOutcome> commit_all_or_nothing(const std::vector<Change>& changes, std::int64_t leader_token);

 private:
  Result<std::int64_t> commit_batch(const Change* first, const Change* last, std::int64_t leader_token);
  Result<void> check_leader(std::int64_t leader_token);

  StoreClient store_;
  std::string leader_key_;
};

}  // namespace flynn::scheduler
