// HistoryReader: past revisions from the journal, on a connection of its own.
#pragma once

#include <memory>
#include <vector>

#include "sqlite_journal.h"

namespace flynn::store {

/// Reads what is committed while the writer goes on. Thread: one at a time.
class HistoryReader {
 public:
  static Result<std::unique_ptr<HistoryReader>> open(const JournalOptions& options);

  /// Whole revisions in order from `first` on, about a MiB of them; empty when there are none.
  Result<std::vector<RevisionEventsPtr>> read(Revision first);

 private:
  HistoryReader(Database database, std::unique_ptr<ValueCipher> cipher)
      : database_(std::move(database)), cipher_(std::move(cipher)) {}
  Result<Event> event();

  Database database_;
  std::unique_ptr<ValueCipher> cipher_;
  Statement rows_;
};

}  // namespace flynn::store
