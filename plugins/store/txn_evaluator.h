// Evaluates transactions and ranges against a view of the keys. Pure: no clock, no I/O.
#pragma once

#include <functional>

#include "flynn/sdk/result.h"
#include "transaction.h"

namespace flynn::store {

/// Key numbers of the journal: revision * kRecordsPerRevision + position within the revision.
inline constexpr std::int64_t kRecordsPerRevision = 1 << 20;

/// True while a lease may be written under.
using LeaseAlive = std::function<bool(LeaseId)>;

/// invalid_argument for an operation limit or a key that is written twice in one branch.
Result<void> check_shape(const Transaction& txn);

RangeRows evaluate_range(const KeyView& view, const RangeQuery& query);

/// Writes the changes into `staging` as those of `revision`. On an error (`not_found`: a lease is gone,
/// `resource_exhausted`: too many keys deleted) staging is untouched.
Result<TxnOutcome> evaluate(const Transaction& txn, Staging& staging, Revision revision, const LeaseAlive& alive);

/// Deletes the keys of a lease, as one revision.
TxnOutcome evaluate_revoke(LeaseId lease, Staging& staging, Revision revision);

}  // namespace flynn::store
