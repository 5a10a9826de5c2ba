#include "faulty_vfs.h"

#include <sqlite3.h>

#include <cstring>
#include <new>

namespace flynn::store {
namespace {

// SQLite hands no context to a file's methods, so what they share stands here; one FaultyVfs exists at a time.
std::atomic<long> operations_done{0}, first_failing{-1}, failing_count{0};
std::atomic<int> failing_code{SQLITE_OK};
sqlite3_vfs* system_vfs = nullptr;
sqlite3_vfs faulty_vfs;

struct FaultyFile {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
FaultyFile* faulty(sqlite3_file* file) { return reinterpret_cast<FaultyFile*>(file); }
sqlite3_file* real(sqlite3_file* file) { return faulty(file)->real(); }

int count_and_judge() {
  const long index = operations_done++;
  const long first = first_failing;
  return first >= 0 && index >= first && index < first + failing_count ? failing_code.load() : SQLITE_OK;
}

int close_file(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
int read_file(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
  return real(file)->pMethods->xRead(real(file), to, size, at);
}
int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
  if (const int code = count_and_judge(); code != SQLITE_OK) {
    // A failing disk may well have taken a part.
    real(file)->pMethods->xWrite(real(file), from, size / 2, at);
    return code == SQLITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  }
  return real(file)->pMethods->xWrite(real(file), from, size, at);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (count_and_judge() != SQLITE_OK) return SQLITE_IOERR_TRUNCATE;
  return real(file)->pMethods->xTruncate(real(file), size);
}
int sync_file(sqlite3_file* file, int flags) {
  if (count_and_judge() != SQLITE_OK) return SQLITE_IOERR_FSYNC;
  return real(file)->pMethods->xSync(real(file), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int lock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int unlock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int reserved_lock(sqlite3_file* file, int* out) { return real(file)->pMethods->xCheckReservedLock(real(file), out); }
int file_control(sqlite3_file* file, int op, void* arg) {
  return real(file)->pMethods->xFileControl(real(file), op, arg);
}
int sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int device_traits(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }
int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  return real(file)->pMethods->xShmMap(real(file), page, size, extend, out);
}
int shm_lock(sqlite3_file* file, int offset, int n, int flags) {
  return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
}
void shm_barrier(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }
int shm_unmap(sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); }

const sqlite3_io_methods kMethods = {
    2,         close_file,  read_file,     write_file,   truncate_file, sync_file,     file_size,
    lock_file, unlock_file, reserved_lock, file_control, sector_size,   device_traits, shm_map,
    shm_lock,  shm_barrier, shm_unmap,     nullptr,      nullptr};

int open_file(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  faulty(file)->base.pMethods = nullptr;
  const int code = system_vfs->xOpen(system_vfs, name, real(file), flags, out_flags);
  if (code == SQLITE_OK) faulty(file)->base.pMethods = &kMethods;
  return code;
}

}  // namespace

FaultyVfs::FaultyVfs() {
  heal();
  system_vfs = sqlite3_vfs_find(nullptr);
  faulty_vfs = *system_vfs;
  faulty_vfs.zName = kName;
  faulty_vfs.szOsFile = static_cast<int>(sizeof(FaultyFile)) + system_vfs->szOsFile;
  faulty_vfs.xOpen = open_file;
  faulty_vfs.pNext = nullptr;
  sqlite3_vfs_register(&faulty_vfs, 0);
}

FaultyVfs::~FaultyVfs() { sqlite3_vfs_unregister(&faulty_vfs); }

void FaultyVfs::fail(Fault fault, long nth, long count) {
  first_failing = -1;
  operations_done = 0;
  failing_code = fault == Fault::disk_full ? SQLITE_FULL : SQLITE_IOERR;
  failing_count = count;
  first_failing = nth;
}

void FaultyVfs::heal() {
  first_failing = -1;
  operations_done = 0;
}

long FaultyVfs::operations() const { return operations_done; }

}  // namespace flynn::store
