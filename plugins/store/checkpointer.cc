#include "checkpointer.h"

#include <poll.h>
#include <sqlite3.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace flynn::store {
namespace {

constexpr int kCheckpointPages = 1'000;  // SQLite's own default

}  // namespace

Result<std::unique_ptr<Checkpointer>> Checkpointer::start(const JournalOptions& options) {
  auto database = Database::open(options.database_path(), Database::Mode::read_write, options.vfs);
  if (!database) return database.error();
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_error(errno, "make an eventfd");
  std::unique_ptr<Checkpointer> checkpointer(new Checkpointer(std::move(*database), std::move(wake)));
  checkpointer->worker_.start("store-checkpt", [raw = checkpointer.get()](const StopSignal& stop) { raw->run(stop); });
  return checkpointer;
}

void Checkpointer::note_wal_pages(int pages) {
  if (pages < kCheckpointPages) return;
  const std::uint64_t one = 1;
  if (::write(wake_.get(), &one, sizeof one) < 0) return;  // full: it is awake already
}

void Checkpointer::run(const StopSignal& stop) {
  pollfd entries[] = {{stop.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  while (::poll(entries, 2, -1) >= 0 || errno == EINTR) {
    if (stop.asked()) return;
    std::uint64_t count = 0;
    if (::read(wake_.get(), &count, sizeof count) != sizeof count) continue;
    // An error leaves the WAL as it is; the writer's next commits say what is wrong with the disk.
    sqlite3_wal_checkpoint_v2(database_.raw(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }
}

}  // namespace flynn::store
