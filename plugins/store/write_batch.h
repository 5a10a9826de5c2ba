// WriteBatch: many writes evaluated one after the other, to become durable with one COMMIT.
#pragma once

#include <set>
#include <variant>

#include "sqlite_journal.h"
#include "store_state.h"
#include "transaction.h"

namespace flynn::store {

struct GrantWork {
  LeaseRow lease;
};
struct RevokeWork {
  LeaseId lease = 0;
};
struct CompactWork {
  Revision revision = 0;
};
using WriteWork = std::variant<Transaction, GrantWork, RevokeWork, CompactWork>;

/// What a write's caller is told once it is durable.
struct Applied {
  Revision revision = 0;
  TxnOutcome outcome;  // of a Transaction
};

/// Each write sees those before it; one that fails changes nothing. Pure but for the state it borrows and reads.
/// Thread: the writer's.
class WriteBatch {
 public:
  WriteBatch(StoreState& state, LeaseTable::Time now);

  Result<Applied> add(const WriteWork& work);
  const JournalBatch& journal() const { return journal_; }
  void compact_to(Revision revision) { journal_.compact_revision = revision; }
  void purge(Revision from, Revision to) { journal_.purge = std::pair(from, to); }
  Revision revision() const { return revision_; }

  /// Makes it visible. Only after the journal has committed it.
  void apply(LeaseTable::Time now);

 private:
  Result<Applied> run(const Transaction& txn);
  Result<Applied> run(const GrantWork& work);
  Result<Applied> run(const RevokeWork& work);
  Result<Applied> run(const CompactWork& work);
  Applied record(TxnOutcome outcome);
  bool alive(LeaseId lease) const;

  StoreState& state_;
  const LeaseTable::Time now_;
  Staging staging_;
  Revision revision_;
  JournalBatch journal_;
  std::set<LeaseId> revoked_;
};

}  // namespace flynn::store
