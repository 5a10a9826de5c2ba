#include "snapshot.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "txn_evaluator.h"

namespace flynn::store {
namespace {

constexpr std::string_view kNamePrefix = "snapshot-";

struct TemporaryFile {
  std::string path;
  ~TemporaryFile() {
    for (const char* suffix : {"", "-journal", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
  }
};

Result<void> copy_pages(Database& source, Database& target) {
  sqlite3_backup* backup = sqlite3_backup_init(target.raw(), "main", source.raw(), "main");
  if (backup == nullptr) return sqlite_error(target.raw(), "begin the copy");
  // All pages in one step: one read snapshot, which does not hold up the writer in WAL mode.
  const int stepped = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE || finished != SQLITE_OK) return sqlite_error(target.raw(), "copy the store");
  return {};
}

Result<Revision> newest_revision(Database& database) {
  auto query = Statement::prepare(database, "SELECT coalesce(max(id), 0) FROM records");
  if (!query) return query.error();
  if (auto row = query->step(); !row) return row.error();
  return query->integer(0) / kRecordsPerRevision;
}

}  // namespace

Result<Snapshot> take_snapshot(const JournalOptions& options) {
  TemporaryFile temporary{options.folder + "/" + std::string(kNamePrefix) + "XXXXXX"};
  UniqueFd file(::mkostemp(temporary.path.data(), O_CLOEXEC));
  if (!file) return errno_error(errno, "make a file for the snapshot in " + options.folder);

  auto source = Database::open(options.database_path(), Database::Mode::read_write, options.vfs);
  if (!source) return source.error();
  auto target = Database::open(temporary.path, Database::Mode::read_write, options.vfs);
  if (!target) return target.error();
  if (auto set = target->run("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF"); !set) return set.error();
  if (auto copied = copy_pages(*source, *target); !copied) return copied.error();
  // The copy stands alone: opening it must not need a WAL beside it.
  if (auto set = target->run("PRAGMA journal_mode=DELETE"); !set) return set.error();
  auto revision = newest_revision(*target);
  if (!revision) return revision.error();
  UniqueFd readable(::open(temporary.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!readable) return errno_error(errno, "open the snapshot");
  return Snapshot{*revision, std::move(readable)};
}

void remove_stale_snapshots(const JournalOptions& options) {
  std::error_code ignored;
  std::vector<std::filesystem::path> stale;
  for (const auto& file : std::filesystem::directory_iterator(options.folder, ignored))
    if (file.path().filename().string().starts_with(kNamePrefix)) stale.push_back(file.path());
  for (const auto& path : stale) std::filesystem::remove(path, ignored);
}

}  // namespace flynn::store
