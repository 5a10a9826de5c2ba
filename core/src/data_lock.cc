#include "data_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

namespace flynn::core {

Result<DataLock> DataLock::acquire(const std::filesystem::path& data_dir) {
  std::error_code ignored;
  std::filesystem::create_directories(data_dir / "core", ignored);
  const auto file = data_dir / "core" / "lock";
  DataLock lock;
  lock.fd_ = UniqueFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.fd_) return lock;
  if (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return lock;
    std::array<char, 16> pid{};
    const auto got = ::pread(lock.fd_.get(), pid.data(), pid.size() - 1, 0);
    return Error{Code::conflict, data_dir.string() + " is in use by another flynn-host" +
                                     (got > 0 ? " (its keeper is pid " + std::string(pid.data()) + ")" : "") +
                                     ": stop that, wait until it has ended, or give this one a data_dir of its own"};
  }
  const auto pid = std::to_string(::getpid());
  // Only for the words above: a full disk may refuse it.
  if (::ftruncate(lock.fd_.get(), 0) == 0) [[maybe_unused]]
    const auto written = ::pwrite(lock.fd_.get(), pid.data(), pid.size(), 0);
  return lock;
}

void DataLock::keep_over_exec() const {
  if (fd_) ::fcntl(fd_.get(), F_SETFD, 0);
}

DataLock DataLock::inherited() {
  DataLock lock;
  const char* number = std::getenv(kDataLockVariable);
  if (number == nullptr) return lock;
  lock.fd_ = UniqueFd(std::atoi(number));
  ::unsetenv(kDataLockVariable);
  if (::fcntl(lock.fd_.get(), F_SETFD, FD_CLOEXEC) != 0) (void)lock.fd_.release();
  return lock;
}

}  // namespace flynn::core
