#include "history_reader.h"

#include "store_limits.h"
#include "txn_evaluator.h"

namespace flynn::store {

Result<std::unique_ptr<HistoryReader>> HistoryReader::open(const JournalOptions& options) {
  auto database = Database::open(options.database_path(), Database::Mode::read_write, options.vfs);
  if (!database) return database.error();
  auto cipher = open_cipher(*database, options.key_file);
  if (!cipher) return cipher.error();
  std::unique_ptr<HistoryReader> reader(new HistoryReader(std::move(*database), std::move(*cipher)));
  auto rows = Statement::prepare(
      reader->database_,
      "SELECT id, type, create_revision, version, lease, key, value FROM records WHERE id >= ? ORDER BY id");
  if (!rows) return rows.error();
  reader->rows_ = std::move(*rows);
  return reader;
}

Result<Event> HistoryReader::event() {
  const auto id = rows_.integer(0);
  Event event;
  event.key = rows_.bytes(5);
  if (rows_.integer(1) != 1) return event;
  auto value = cipher_->open(sealed_place(event.key, id), rows_.bytes(6));
  if (!value) return value.error();
  event.entry = Entry{std::make_shared<const std::string>(std::move(*value)),
                      rows_.integer(2),
                      id / kRecordsPerRevision,
                      rows_.integer(3),
                      static_cast<LeaseId>(rows_.integer(4)),
                      id};
  return event;
}

Result<std::vector<RevisionEventsPtr>> HistoryReader::read(Revision first) {
  std::vector<RevisionEventsPtr> revisions;
  auto current = std::make_shared<RevisionEvents>();
  std::size_t bytes = 0;
  rows_.bind(1, first * kRecordsPerRevision);
  while (true) {
    auto step = rows_.step();
    if (!step) return step.error().context("read the history");
    const bool done = *step == Statement::Step::done;
    const Revision revision = done ? 0 : rows_.integer(0) / kRecordsPerRevision;
    if (revision != current->revision && !current->events.empty()) {
      bytes += current->bytes();
      revisions.push_back(std::exchange(current, std::make_shared<RevisionEvents>()));
    }
    if (done || bytes > kWatchCatchUpBytes) break;
    current->revision = revision;
    auto next = event();
    if (!next) {
      rows_.reset();
      return next.error().context("read the history");
    }
    current->events.push_back(std::move(*next));
  }
  rows_.reset();
  return revisions;
}

}  // namespace flynn::store
