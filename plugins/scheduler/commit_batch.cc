#include "commit_batch.h"

#include <set>

namespace flynn::scheduler {
namespace {

// Changes of one formation compare the same keys: those count once.
const Change* end_of_batch(const Change* first, const Change* end) {
  std::set<std::string_view> compared;
  std::size_t operations = 1;
  const Change* last = first;
  for (; last != end; ++last) {
    for (const auto& [key, revision] : last->unchanged) compared.insert(key);
    for (const auto& [key, revision] : last->alive) compared.insert(key);
    operations += last->puts.size() + last->erases.size();
    if (last != first && operations + compared.size() > kBatchOperationsMax) break;
  }
  return last;
}

}  // namespace

Result<std::int64_t> Committer::commit_batch(const Change* first, const Change* last, std::int64_t leader_token) {
  auto txn = store_.txn();
  txn.if_create(leader_key_, leader_token);
  std::set<std::string> compared;
  for (const Change* change = first; change != last; ++change) {
    for (const auto& [key, revision] : change->unchanged)
      if (compared.insert(key).second) txn.if_mod(key, revision);
    for (const auto& [key, revision] : change->alive)
      if (compared.insert(key).second) txn.if_create(key, revision);
    for (const auto& [key, value] : change->puts) txn.put(key, value);
    for (const auto& key : change->erases) txn.erase(key);
  }
  return txn.commit();
}

Result<void> Committer::check_leader(std::int64_t leader_token) {
  auto leader = store_.get(leader_key_);
  if (!leader) return leader.error();
  if (!*leader || (*leader)->create_revision != leader_token)
    return Error{Code::conflict, "another scheduler leads this cell now"};
  return {};
}

Result<CommitOutcome> Committer::commit(const std::vector<Change>& changes, std::int64_t leader_token) {
  CommitOutcome outcome;
  const auto took = [&](const Change* change, std::int64_t revision) {
    outcome.revision = revision;
    outcome.committed.push_back(change->subject);
  };
  const Change* const end = changes.data() + changes.size();
  for (const Change* first = changes.data(); first != end;) {
    const Change* const last = end_of_batch(first, end);
    auto revision = commit_batch(first, last, leader_token);
    if (revision) {
      for (const Change* change = first; change != last; ++change) took(change, *revision);
    } else if (revision.error().code != Code::conflict) {
      return revision.error();
    } else {
      if (auto leads = check_leader(leader_token); !leads) return leads.error();
      for (const Change* change = first; change != last; ++change) {
        auto alone = commit_batch(change, change + 1, leader_token);
        if (alone) {
          took(change, *alone);
        } else if (alone.error().code == Code::conflict) {
          outcome.conflicts.push_back(change->subject);
        } else {
          return alone.error();
        }
      }
    }
    first = last;
  }
  return outcome;
}

Result<CommitOutcome> Committer::commit_all_or_nothing(const std::vector<Change>& changes, std::int64_t leader_token) {
  std::size_t operations = 1;
  for (const auto& change : changes) operations += change.operations();
  if (operations > kBatchOperationsMax)
    return Error{Code::invalid_argument,
                 "too many claims for one transaction: commit at most 30 at once with all_or_nothing"};
  auto revision = commit_batch(changes.data(), changes.data() + changes.size(), leader_token);
  if (!revision) return revision.error();
  CommitOutcome outcome;
  outcome.revision = *revision;
  for (const auto& change : changes) outcome.committed.push_back(change.subject);
  return outcome;
}

}  // namespace flynn::scheduler
