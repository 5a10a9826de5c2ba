#include "sqlite_database.h"

#include <sqlite3.h>

#include <utility>

namespace flynn::store {
namespace {

// In KiB. Reads are answered from memory and a commit appends: more pages would only lie there, in each connection.
constexpr const char* kBoundTheCache = "PRAGMA cache_size=-512";

}  // namespace

Error sqlite_error(sqlite3* database, std::string_view doing) {
  const int code = sqlite3_errcode(database) & 0xff;
  Error error{Code::internal, std::string(doing) + ": SQLite: " + sqlite3_errmsg(database)};
  const int system_errno = sqlite3_system_errno(database);
  if (code == SQLITE_IOERR && system_errno != 0)
    error.message += " (" + errno_error(system_errno, "system").message + ")";
  if (code == SQLITE_FULL) {
    error.code = Code::resource_exhausted;
    error.message += ": free space on the disk of the store, it goes on by itself";
  }
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED) error.code = Code::unavailable;
  return error;
}

Result<Database> Database::open(const std::string& path, Mode mode, const std::string& vfs) {
  sqlite3* handle = nullptr;
  const int flags = (mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
                    SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  Database database(handle);
  if (handle == nullptr) return Error{Code::resource_exhausted, "open " + path + ": SQLite: out of memory"};
  if (code != SQLITE_OK) return sqlite_error(handle, "open " + path);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 5000);
  // It reads the schema: what is wrong with that, the first statement tells.
  (void)database.run(kBoundTheCache);
  return database;
}

Database::Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Database::~Database() { sqlite3_close_v2(handle_); }

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return sqlite_error(handle_, sql);
  return {};
}

Result<Statement> Statement::prepare(Database& database, const char* sql) {
  Statement statement;
  if (sqlite3_prepare_v3(database.raw(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement.handle_, nullptr) != SQLITE_OK)
    return sqlite_error(database.raw(), sql);
  return statement;
}

Statement::Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(handle_); }

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(handle_, index, value);
  return *this;
}

Statement& Statement::bind(int index, std::string_view bytes) {
  // An empty view may have no address, which SQLite would take for NULL.
  sqlite3_bind_blob64(handle_, index, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(handle_, index);
  return *this;
}

Result<Statement::Step> Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return Step::row;
  if (code == SQLITE_DONE) {
    reset();
    return Step::done;
  }
  auto error = sqlite_error(sqlite3_db_handle(handle_), sqlite3_sql(handle_));
  reset();
  return error;
}

Result<void> Statement::run() {
  while (true) {
    auto stepped = step();
    if (!stepped) return stepped.error();
    if (*stepped == Step::done) return {};
  }
}

void Statement::reset() { sqlite3_reset(handle_); }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

}  // namespace flynn::store
