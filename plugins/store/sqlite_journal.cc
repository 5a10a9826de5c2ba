#include "sqlite_journal.h"

#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <unordered_set>

#include "txn_evaluator.h"

namespace flynn::store {
namespace {

constexpr std::int64_t kSchemaVersion = 1;
constexpr std::int64_t kPut = 1, kDelete = 2;
constexpr std::string_view kKeyMark = "flynn.store key mark";
constexpr int kLockTries = 60, kLockPauseMs = 50;

constexpr const char* kSchema =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE records(id INTEGER PRIMARY KEY, type INTEGER NOT NULL, create_revision INTEGER NOT NULL,"
    "  version INTEGER NOT NULL, lease INTEGER NOT NULL, previous INTEGER NOT NULL, key BLOB NOT NULL, value BLOB);"
    "CREATE TABLE leases(id INTEGER PRIMARY KEY, ttl_ms INTEGER NOT NULL);";

// A process that was just killed, or a child it forked, may hold the lock for a moment still.
Result<UniqueFd> lock_folder(const std::string& folder) {
  const std::string path = folder + "/store.lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return errno_error(errno, "open " + path);
  for (int tries = 0; ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK && errno != EINTR) return errno_error(errno, "lock " + path);
    if (tries == kLockTries)
      return Error{Code::failed_precondition,
                   "the store in " + folder + " is in use by another process: stop that one first"};
    ::poll(nullptr, 0, kLockPauseMs);
  }
  return lock;
}

// SQLite gives its WAL the mode of the database file, so that file is made first, for the owner alone.
Result<void> make_private_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return errno_error(errno, "open " + path);
  return {};
}

Result<bool> has_schema(Database& database) {
  auto query = Statement::prepare(database, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'");
  if (!query) return query.error();
  auto row = query->step();
  if (!row) return row.error();
  return query->integer(0) == 1;
}

int note_wal_pages(void* pages, sqlite3*, const char*, int count) {
  *static_cast<int*>(pages) = count;
  return SQLITE_OK;
}

}  // namespace

std::string sealed_place(std::string_view key, std::int64_t record_id) {
  std::string place(key);
  place.push_back('\0');
  return place + std::to_string(record_id);
}

Result<std::unique_ptr<ValueCipher>> open_cipher(Database& database, const std::string& key_file) {
  auto key = load_key(key_file, false);
  if (!key) return key.error();
  auto cipher = std::make_unique<ValueCipher>(*key);
  auto query = Statement::prepare(database, "SELECT value FROM meta WHERE name = 'key_mark'");
  if (!query) return query.error();
  auto row = query->step();
  if (!row) return row.error();
  if (!cipher->open(kKeyMark, query->bytes(0)))
    return Error{Code::failed_precondition, "the key " + key_file + " is not the one the store was written with"};
  return cipher;
}

Result<std::unique_ptr<SqliteJournal>> SqliteJournal::open(const JournalOptions& options) {
  if (::mkdir(options.folder.c_str(), 0700) != 0 && errno != EEXIST)
    return errno_error(errno, "make the folder " + options.folder);
  auto lock = lock_folder(options.folder);
  if (!lock) return lock.error();
  if (auto made = make_private_file(options.database_path()); !made) return made.error();
  return open_database(options, std::move(*lock));
}

Result<std::unique_ptr<SqliteJournal>> SqliteJournal::open_beside(const JournalOptions& options) {
  if (::access(options.database_path().c_str(), F_OK) != 0) return std::unique_ptr<SqliteJournal>();
  return open_database(options, UniqueFd());
}

Result<std::unique_ptr<SqliteJournal>> SqliteJournal::open_database(const JournalOptions& options, UniqueFd lock) {
  auto database = Database::open(options.database_path(), Database::Mode::read_write, options.vfs);
  if (!database) return database.error();
  std::unique_ptr<SqliteJournal> journal(new SqliteJournal(options, std::move(lock), std::move(*database)));
  if (auto prepared = journal->prepare(); !prepared) return prepared.error().context("open " + options.database_path());
  return journal;
}

SqliteJournal::~SqliteJournal() { sqlite3_wal_hook(database_.raw(), nullptr, nullptr); }

Result<void> SqliteJournal::prepare() {
  if (auto set = database_.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
                               "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0;");
      !set)
    return set;
  auto existing = has_schema(database_);
  if (!existing) return existing.error();
  if (!*existing && !lock_) return Error{Code::not_found, "the store is not made yet"};
  if (auto ready = *existing ? check_schema() : make_schema(); !ready) return ready;
  auto cipher = open_cipher(database_, options_.key_file);
  if (!cipher) return cipher.error();
  cipher_ = std::move(*cipher);

  const std::pair<Statement*, const char*> statements[] = {
      {&insert_record_, "INSERT INTO records VALUES(?,?,?,?,?,?,?,?)"},
      {&insert_lease_, "INSERT INTO leases VALUES(?,?)"},
      {&delete_lease_, "DELETE FROM leases WHERE id = ?"},
      {&set_meta_, "INSERT OR REPLACE INTO meta VALUES(CAST(? AS TEXT),?)"},
      {&get_meta_, "SELECT value FROM meta WHERE name = CAST(? AS TEXT)"},
      {&purge_superseded_,
       "DELETE FROM records WHERE id IN (SELECT previous FROM records WHERE id >= ? AND id < ? AND previous != 0)"},
      {&purge_deletes_, "DELETE FROM records WHERE id >= ? AND id < ? AND type = 2"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = Statement::prepare(database_, sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  sqlite3_wal_hook(database_.raw(), note_wal_pages, &wal_pages_);
  return {};
}

Result<void> SqliteJournal::make_schema() {
  auto key = load_key(options_.key_file, true);
  if (!key) return key.error();
  auto mark = ValueCipher(*key).seal(kKeyMark, "flynn");
  if (!mark) return mark.error();
  if (auto begun = database_.run("BEGIN IMMEDIATE"); !begun) return begun;
  if (auto made = database_.run(kSchema); !made) return made;
  auto insert = Statement::prepare(database_, "INSERT INTO meta VALUES('key_mark',?),('schema_version',?)");
  if (!insert) return insert.error();
  if (auto written = insert->bind(1, *mark).bind(2, kSchemaVersion).run(); !written) return written;
  return database_.run("COMMIT");
}

Result<void> SqliteJournal::check_schema() {
  auto query = Statement::prepare(database_, "SELECT value FROM meta WHERE name = 'schema_version'");
  if (!query) return query.error();
  if (auto row = query->step(); !row) return row.error();
  if (query->integer(0) != kSchemaVersion)
    return Error{Code::failed_precondition, "the store was written by a newer version (schema " +
                                                std::to_string(query->integer(0)) + "): use that version"};
  return {};
}

Result<JournalState> SqliteJournal::load() {
  JournalState state;
  // One snapshot: another instance may be writing.
  if (auto begun = database_.run("BEGIN"); !begun) return begun.error();
  auto loaded = load_records(state);
  if (loaded) loaded = load_rest(state);
  if (auto ended = database_.run("COMMIT"); !ended) return ended.error();
  if (!loaded) return loaded.error().context("load the store");
  return state;
}

Result<void> SqliteJournal::take_over(JournalState& state) {
  auto lock = lock_folder(options_.folder);
  if (!lock) return lock.error();
  lock_ = std::move(*lock);
  auto purged = meta("purged_revision");
  if (!purged) return purged.error();
  // The record of a deletion since may be gone.
  if (*purged > state.revision) {
    auto whole = load();
    if (!whole) return whole.error();
    state = std::move(*whole);
    return {};
  }
  auto added = add_newer_records(state);
  if (added) added = load_rest(state);
  return added ? added : added.error().context("load what is new in the store");
}

// From the newest to the oldest: the first record of a key is its present, and the values of the others are not even
// read.
Result<void> SqliteJournal::load_records(JournalState& state) {
  auto rows = Statement::prepare(
      database_, "SELECT id, type, create_revision, version, lease, key, value FROM records ORDER BY id DESC");
  if (!rows) return rows.error();
  std::unordered_set<std::string> deleted;
  while (true) {
    auto step = rows->step();
    if (!step) return step.error();
    if (*step == Statement::Step::done) return {};
    if (state.newest_record == 0) state.newest_record = rows->integer(0);
    std::string key(rows->bytes(5));
    if (state.keys.find(key) != nullptr || deleted.contains(key)) continue;
    if (rows->integer(1) == kDelete)
      deleted.insert(std::move(key));
    else if (auto put = put_record(state.keys, *rows); !put)
      return put;
  }
}

Result<void> SqliteJournal::add_newer_records(JournalState& state) {
  auto rows = Statement::prepare(database_,
                                 "SELECT id, type, create_revision, version, lease, key, value FROM records "
                                 "WHERE id > ? ORDER BY id");
  if (!rows) return rows.error();
  rows->bind(1, state.newest_record);
  while (true) {
    auto step = rows->step();
    if (!step) return step.error();
    if (*step == Statement::Step::done) return {};
    state.newest_record = rows->integer(0);
    if (rows->integer(1) == kDelete)
      state.keys.erase(std::string(rows->bytes(5)));
    else if (auto put = put_record(state.keys, *rows); !put)
      return put;
  }
}

Result<void> SqliteJournal::put_record(KeySpace& keys, const Statement& row) {
  const auto id = row.integer(0);
  const std::string key(row.bytes(5));
  auto value = cipher_->open(sealed_place(key, id), row.bytes(6));
  if (!value) return value.error().context("key " + key);
  keys.put(key, Entry{std::make_shared<const std::string>(std::move(*value)), row.integer(2), id / kRecordsPerRevision,
                      row.integer(3), static_cast<LeaseId>(row.integer(4)), id});
  return {};
}

Result<void> SqliteJournal::load_rest(JournalState& state) {
  state.revision = state.newest_record / kRecordsPerRevision;
  auto compact = meta("compact_revision");
  if (!compact) return compact.error();
  auto purged = meta("purged_revision");
  if (!purged) return purged.error();
  state.compact_revision = *compact;
  state.purged_revision = *purged;
  state.leases.clear();
  auto leases = Statement::prepare(database_, "SELECT id, ttl_ms FROM leases");
  if (!leases) return leases.error();
  while (true) {
    auto row = leases->step();
    if (!row) return row.error().context("load the leases");
    if (*row == Statement::Step::done) return {};
    state.leases.push_back({static_cast<LeaseId>(leases->integer(0)), leases->integer(1)});
  }
}

Result<void> SqliteJournal::commit(const JournalBatch& batch) {
  if (auto begun = database_.run("BEGIN IMMEDIATE"); !begun) return begun;
  auto written = write(batch);
  if (written) written = database_.run("COMMIT");
  // A full disk or an I/O error may have rolled it back already; nothing of the batch may stay either way.
  if (!written && sqlite3_get_autocommit(database_.raw()) == 0) {
    const auto error = written.error();
    if (auto undone = database_.run("ROLLBACK"); !undone) return error.context(undone.error().message);
  }
  return written;
}

Result<void> SqliteJournal::write(const JournalBatch& batch) {
  for (const auto& revision : batch.revisions)
    for (std::size_t i = 0; i < revision->events.size(); ++i)
      if (auto done = write_record(revision->revision, static_cast<std::int64_t>(i), revision->events[i]); !done)
        return done;
  for (const auto& lease : batch.granted)
    if (auto done = insert_lease_.bind(1, static_cast<std::int64_t>(lease.id)).bind(2, lease.ttl_ms).run(); !done)
      return done;
  for (const auto lease : batch.revoked)
    if (auto done = delete_lease_.bind(1, static_cast<std::int64_t>(lease)).run(); !done) return done;
  if (batch.compact_revision)
    if (auto done = set_meta("compact_revision", *batch.compact_revision); !done) return done;
  if (!batch.purge) return {};
  const auto from = batch.purge->first * kRecordsPerRevision, to = batch.purge->second * kRecordsPerRevision;
  if (auto done = purge_superseded_.bind(1, from).bind(2, to).run(); !done) return done;
  if (auto done = purge_deletes_.bind(1, from).bind(2, to).run(); !done) return done;
  return set_meta("purged_revision", batch.purge->second);
}

Result<void> SqliteJournal::write_record(Revision revision, std::int64_t position, const Event& event) {
  const auto id = revision * kRecordsPerRevision + position;
  const auto entry = event.entry.value_or(Entry{});
  std::string sealed;
  insert_record_.bind(1, id)
      .bind(2, event.entry ? kPut : kDelete)
      .bind(3, entry.create_revision)
      .bind(4, entry.version)
      .bind(5, static_cast<std::int64_t>(entry.lease))
      .bind(6, event.previous_record)
      .bind(7, event.key);
  if (event.entry) {
    auto done = cipher_->seal(sealed_place(event.key, id), *entry.value);
    if (!done) return done.error();
    sealed = std::move(*done);
    insert_record_.bind(8, sealed);
  } else {
    insert_record_.bind_null(8);
  }
  return insert_record_.run();
}

Result<std::int64_t> SqliteJournal::meta(std::string_view name) {
  auto row = get_meta_.bind(1, name).step();
  if (!row) return row.error();
  const std::int64_t value = *row == Statement::Step::row ? get_meta_.integer(0) : 0;
  get_meta_.reset();
  return value;
}

Result<void> SqliteJournal::set_meta(std::string_view name, std::int64_t value) {
  return set_meta_.bind(1, name).bind(2, value).run();
}

void SqliteJournal::checkpoint() {
  sqlite3_wal_checkpoint_v2(database_.raw(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

void SqliteJournal::release() { lock_.reset(); }

Result<void> SqliteJournal::reacquire(Revision expected) {
  auto lock = lock_folder(options_.folder);
  if (!lock) return lock.error();
  auto query = Statement::prepare(database_, "SELECT coalesce(max(id), 0) FROM records");
  if (!query) return query.error();
  if (auto row = query->step(); !row) return row.error();
  if (query->integer(0) / kRecordsPerRevision != expected)
    return Error{Code::failed_precondition, "another instance has written to the store meanwhile: start this one anew"};
  lock_ = std::move(*lock);
  return {};
}

}  // namespace flynn::store
