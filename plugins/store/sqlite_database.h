// Database and Statement: SQLite's connection and prepared statement, owned. Values are bound, never spliced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace flynn::store {

/// resource_exhausted for a full disk, unavailable when locked, internal otherwise; with SQLite's own words.
Error sqlite_error(sqlite3* database, std::string_view doing);

/// Thread: one at a time.
class Database {
 public:
  enum class Mode { read_write, read_only };

  /// `vfs`: empty for the system's.
  static Result<Database> open(const std::string& path, Mode mode, const std::string& vfs);
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  ~Database();

  /// Fixed text only.
  Result<void> run(const char* sql);
  sqlite3* raw() const { return handle_; }

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  sqlite3* handle_ = nullptr;
};

/// Borrows its database. Thread: one at a time.
class Statement {
 public:
  enum class Step { row, done };

  Statement() = default;
  static Result<Statement> prepare(Database& database, const char* sql);
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  Statement& bind(int index, std::int64_t value);
  /// Borrowed until reset().
  Statement& bind(int index, std::string_view bytes);
  Statement& bind_null(int index);
  /// Resets by itself after `done` and after an error.
  Result<Step> step();
  Result<void> run();
  void reset();

  std::int64_t integer(int column) const;
  /// Valid until the next step.
  std::string_view bytes(int column) const;

 private:
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace flynn::store
