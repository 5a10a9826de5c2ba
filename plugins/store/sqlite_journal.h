// SqliteJournal: the durable form of the store. Append-only records of changes; the keys are their newest.
//
// A put or delete is one row of `records`, numbered revision * 2^20 + position. So history and present are one table, a
// commit only appends, and compaction removes what a later record supersedes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "event_history.h"
#include "flynn/sdk/unique_fd.h"
#include "lease_table.h"
#include "sqlite_database.h"
#include "value_cipher.h"

namespace flynn::store {

struct JournalOptions {
  std::string folder;    // store.db and its WAL live here; made when absent
  std::string key_file;  // see load_key
  std::string vfs;       // SQLite VFS, empty: the system's (tests put a faulty one here)

  std::string database_path() const { return folder + "/store.db"; }
};

struct LeaseRow {
  LeaseId id = 0;
  std::int64_t ttl_ms = 0;
};

/// What one COMMIT makes durable.
struct JournalBatch {
  std::vector<RevisionEventsPtr> revisions;
  std::vector<LeaseRow> granted;
  std::vector<LeaseId> revoked;
  std::optional<Revision> compact_revision;
  /// Removes what the records of the revisions [first, second) supersede.
  std::optional<std::pair<Revision, Revision>> purge;

  bool empty() const { return revisions.empty() && granted.empty() && revoked.empty() && !compact_revision && !purge; }
};

/// The state as the journal holds it.
struct JournalState {
  KeySpace keys;
  std::vector<LeaseRow> leases;
  Revision revision = 0;
  Revision compact_revision = 0;  // watches may begin here
  Revision purged_revision = 0;
  std::int64_t newest_record = 0;
};

/// The one writer of a store. Holds a lock on the folder, so that two processes never write the same store.
/// Thread: one at a time.
class SqliteJournal {
 public:
  /// failed_precondition: in use by another process, the key is absent or another, or the file is of a newer version.
  static Result<std::unique_ptr<SqliteJournal>> open(const JournalOptions& options);
  /// Opens a store that another instance may be writing, to load it ahead; only load() and take_over() may follow. Null
  /// when there is none yet.
  static Result<std::unique_ptr<SqliteJournal>> open_beside(const JournalOptions& options);
  ~SqliteJournal();

  /// The state at one moment.
  Result<JournalState> load();
  /// After open_beside(): takes the lock, and adds to what load() gave what was written since.
  Result<void> take_over(JournalState& state);
  /// All or nothing, and on disk when it returns ok. After an error the journal can be used again.
  Result<void> commit(const JournalBatch& batch);
  /// Copies the WAL into the database, as far as readers allow.
  void checkpoint();
  /// Pages in the WAL after the last commit.
  int wal_pages() const { return wal_pages_; }

  /// Lets another instance write (it opens the store while this one is quiesced); reacquire() undoes it and fails when
  /// the other has written.
  void release();
  Result<void> reacquire(Revision expected);

  const JournalOptions& options() const { return options_; }

 private:
  SqliteJournal(JournalOptions options, UniqueFd lock, Database database)
      : options_(std::move(options)), lock_(std::move(lock)), database_(std::move(database)) {}
  Result<void> prepare();
  Result<void> make_schema();
  Result<void> check_schema();
  static Result<std::unique_ptr<SqliteJournal>> open_database(const JournalOptions& options, UniqueFd lock);
  Result<void> load_records(JournalState& state);
  Result<void> add_newer_records(JournalState& state);
  Result<void> load_rest(JournalState& state);
  Result<void> put_record(KeySpace& keys, const Statement& row);
  Result<void> write(const JournalBatch& batch);
  Result<void> write_record(Revision revision, std::int64_t position, const Event& event);
  Result<std::int64_t> meta(std::string_view name);
  Result<void> set_meta(std::string_view name, std::int64_t value);

  JournalOptions options_;
  UniqueFd lock_;
  Database database_;
  std::unique_ptr<ValueCipher> cipher_;
  Statement insert_record_, insert_lease_, delete_lease_, set_meta_, get_meta_, purge_superseded_, purge_deletes_;
  int wal_pages_ = 0;
};

/// What a sealed value is bound to.
std::string sealed_place(std::string_view key, std::int64_t record_id);

/// Opens the key and checks it against the database's mark. For every further connection.
Result<std::unique_ptr<ValueCipher>> open_cipher(Database& database, const std::string& key_file);

}  // namespace flynn::store
