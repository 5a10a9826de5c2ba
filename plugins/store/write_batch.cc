#include "write_batch.h"

#include "txn_evaluator.h"

namespace flynn::store {

WriteBatch::WriteBatch(StoreState& state, LeaseTable::Time now)
    : state_(state), now_(now), staging_(state.keys), revision_(state.revision) {}

Result<Applied> WriteBatch::add(const WriteWork& work) {
  return std::visit([this](const auto& kind) { return run(kind); }, work);
}

Result<Applied> WriteBatch::run(const Transaction& txn) {
  auto outcome = evaluate(txn, staging_, revision_ + 1, [this](LeaseId lease) { return alive(lease); });
  if (!outcome) return outcome.error();
  return record(std::move(*outcome));
}

Result<Applied> WriteBatch::run(const GrantWork& work) {
  journal_.granted.push_back(work.lease);
  return Applied{revision_, {}};
}

Result<Applied> WriteBatch::run(const RevokeWork& work) {
  bool known = false;
  {
    const std::lock_guard lock(state_.lease_mutex);
    known = state_.leases.known(work.lease) && !revoked_.contains(work.lease);
  }
  if (!known) return Error{Code::not_found, "lease " + lease_text(work.lease) + " is unknown or has expired"};
  revoked_.insert(work.lease);
  journal_.revoked.push_back(work.lease);
  return record(evaluate_revoke(work.lease, staging_, revision_ + 1));
}

Result<Applied> WriteBatch::run(const CompactWork& work) {
  if (work.revision > revision_)
    return Error{Code::out_of_range, "compact: revision " + std::to_string(work.revision) + " is still to come"};
  const auto current = journal_.compact_revision.value_or(state_.compact_revision.load());
  if (work.revision > current) journal_.compact_revision = work.revision;
  return Applied{revision_, {}};
}

Applied WriteBatch::record(TxnOutcome outcome) {
  if (!outcome.events.empty()) {
    ++revision_;
    auto events = std::make_shared<RevisionEvents>();
    events->revision = revision_;
    events->events = outcome.events;
    journal_.revisions.push_back(std::move(events));
  }
  return Applied{revision_, std::move(outcome)};
}

bool WriteBatch::alive(LeaseId lease) const {
  const std::lock_guard lock(state_.lease_mutex);
  return state_.leases.alive(lease, now_) && !revoked_.contains(lease);
}

void WriteBatch::apply(LeaseTable::Time now) {
  state_.change([this] {
    staging_.apply_to(state_.keys);
    state_.revision = revision_;
  });
  {
    const std::lock_guard lock(state_.lease_mutex);
    for (const auto& lease : journal_.granted)
      state_.leases.add(lease.id, std::chrono::milliseconds(lease.ttl_ms), now);
    for (const auto lease : journal_.revoked) state_.leases.remove(lease);
  }
  for (const auto& revision : journal_.revisions) state_.history.append(revision);
  if (journal_.compact_revision) state_.compact_revision = *journal_.compact_revision;
}

}  // namespace flynn::store
