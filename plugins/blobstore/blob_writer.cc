#include "blob_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "blob_name.h"
#include "flynn/sdk/uuid.h"

namespace flynn::blobstore {
namespace {

constexpr std::size_t kCopyBytes = 256 * 1024;
constexpr int kMoveAttemptsMax = 16;

Error write_error(int code, std::string_view doing) {
  auto error = errno_error(code, doing);
  if (code == ENOSPC || code == EDQUOT)
    error.message += " (nothing was stored; delete blobs or enlarge the disk of the blobstore's data folder)";
  return error;
}

bool lock_new_file(int fd) {
  struct stat status {};
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &status) == 0 && status.st_nlink == 1;
}

Result<void> sync_folder(int folder, const std::string& path) {
  const UniqueFd fd(::openat(folder, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return errno_error(errno, "sync a folder of blobs");
  return {};
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

// A folder's entry lives in its parent: sync that when we made one.
Result<void> make_folders(int root, const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (::mkdirat(root, folder.c_str(), 0700) == 0) {
      if (auto synced = sync_folder(root, parent_of(folder)); !synced) return synced;
    } else if (errno != EEXIST && errno != ENOENT) {  // ENOENT: a parent was just removed as empty; the caller retries
      return write_error(errno, "make a folder for a blob");
    }
  }
  return {};
}

}  // namespace

Result<BlobWriter> BlobWriter::open(int temporary_folder, int blobs_folder) {
  BlobWriter writer(temporary_folder, blobs_folder);
  // A cleaner may see the file before it is locked and remove it: then take another.
  for (int attempt = 0; attempt < kMoveAttemptsMax; ++attempt) {
    writer.file_name_ = "put-" + new_uuid();
    writer.file_.reset(::openat(temporary_folder, writer.file_name_.c_str(),
                                O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!writer.file_) {
      writer.file_name_.clear();
      return write_error(errno, "make a temporary file for a blob");
    }
    if (lock_new_file(writer.file_.get())) {
      writer.digest_ = std::make_unique<Sha512_256>();
      return writer;
    }
    ::unlinkat(temporary_folder, writer.file_name_.c_str(), 0);
  }
  return Error{Code::unavailable, "could not make a temporary file for a blob"};
}

BlobWriter::~BlobWriter() {
  if (file_ && !file_name_.empty()) ::unlinkat(temporary_, file_name_.c_str(), 0);
}

Result<void> BlobWriter::write(std::string_view data) {
  digest_->update(data.data(), data.size());
  size_ += data.size();
  while (!data.empty()) {
    const ssize_t written = ::write(file_.get(), data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return write_error(errno, "write a blob");
    data.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> BlobWriter::write_all_of(int source, Deadline deadline) {
  std::vector<char> chunk(kCopyBytes);
  while (true) {
    if (deadline.passed()) return Error{Code::deadline_exceeded, "the source of the blob did not end in time"};
    pollfd entry{source, POLLIN, 0};  // regular files are always ready
    if (::poll(&entry, 1, deadline.left_ms(1000)) <= 0) continue;
    const ssize_t got = ::read(source, chunk.data(), chunk.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return errno_error(errno, "read the source of the blob");
    if (got == 0) return {};
    if (auto written = write({chunk.data(), static_cast<std::size_t>(got)}); !written) return written;
  }
}

Result<void> BlobWriter::move_into_place(const std::string& path) {
  // A Delete may remove a folder between our making it and moving into it.
  for (int attempt = 0; attempt < kMoveAttemptsMax; ++attempt) {
    if (auto made = make_folders(blobs_, path); !made) return made;
    if (::renameat(temporary_, file_name_.c_str(), blobs_, path.c_str()) == 0) {
      file_name_.clear();
      return sync_folder(blobs_, parent_of(path));
    }
    if (errno != ENOENT) return write_error(errno, "move a blob into its place");
  }
  return Error{Code::unavailable, "move a blob into its place: its folder keeps disappearing"};
}

Result<BlobInfo> BlobWriter::commit(std::string_view name, const std::optional<std::string>& expected_digest) {
  const std::string digest = digest_->finish();
  if (expected_digest && *expected_digest != digest)
    return Error{Code::invalid_argument,
                 "the digest of the data is " + digest + ", not the given sha512_256; nothing was stored"};
  keep_digest(file_.get(), digest);
  if (::fsync(file_.get()) != 0) return write_error(errno, "sync a blob");
  auto info = blob_size_and_time(file_.get());
  if (!info) return info.error();
  info->sha512_256 = digest;
  if (auto moved = move_into_place(path_of_name(name)); !moved) return moved.error();
  return info;
}

int remove_leftovers(int temporary_folder) {
  const int listing = ::openat(temporary_folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = listing < 0 ? nullptr : ::fdopendir(listing);
  if (folder == nullptr) {
    UniqueFd closes(listing);
    return 0;
  }
  int removed = 0;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    const UniqueFd file(::openat(temporary_folder, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;  // its writer lives
    if (::unlinkat(temporary_folder, entry->d_name, 0) == 0) ++removed;
  }
  ::closedir(folder);
  return removed;
}

}  // namespace flynn::blobstore
