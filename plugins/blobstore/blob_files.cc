#include "blob_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <set>

#include "blob_name.h"

namespace flynn::blobstore {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

Result<UniqueFd> open_folder(int at, const std::string& path) {
  UniqueFd fd(::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open folder " + path);
  return fd;
}

Result<UniqueFd> make_folder(int at, const std::string& path) {
  if (::mkdirat(at, path.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make folder " + path);
  return open_folder(at, path);
}

// Whether names below `so_far` can be wanted at all.
bool may_hold(std::string_view so_far, std::string_view prefix) {
  const auto shared = std::min(so_far.size(), prefix.size());
  return so_far.substr(0, shared) == prefix.substr(0, shared);
}

// Calls `found(name, folder_fd, entry)` for each blob below; folders vanish while we walk, which is no error.
using Found = std::function<void(const std::string& name, int folder, const char* entry)>;
void walk(UniqueFd folder, const std::string& so_far, std::string_view prefix, const Found& found) {
  const int fd = folder.get();
  DIR* listing = ::fdopendir(fd);
  if (listing == nullptr) return;
  [[maybe_unused]] const int owned_by_listing = folder.release();
  while (const dirent* entry = ::readdir(listing)) {
    std::string part;
    const auto kind = name_of_entry(entry->d_name, part);
    if (kind == EntryKind::stranger || part == "." || part == "..") continue;
    const std::string name = so_far + part;
    if (!may_hold(name, prefix)) continue;
    if (kind == EntryKind::blob) {
      if (name.size() >= prefix.size()) found(name, fd, entry->d_name);
    } else if (auto below = open_folder(fd, entry->d_name)) {
      walk(std::move(*below), name, prefix, found);
    }
  }
  ::closedir(listing);
}

}  // namespace

Result<std::unique_ptr<BlobFiles>> BlobFiles::open(const std::string& folder) {
  auto root = open_folder(AT_FDCWD, folder);
  if (!root) return root.error();
  auto files = std::make_unique<BlobFiles>();
  auto blobs = make_folder(root->get(), "blobs");
  if (!blobs) return blobs.error();
  auto temporary = make_folder(root->get(), "temporary");
  if (!temporary) return temporary.error();
  files->blobs_ = std::move(*blobs);
  files->temporary_ = std::move(*temporary);
  files->leftovers_removed_ = remove_leftovers(files->temporary_.get());
  return files;
}

Result<BlobWriter> BlobFiles::writer(std::string_view name) const {
  if (auto checked = check_name(name); !checked) return checked.error();
  return BlobWriter::open(temporary_.get(), blobs_.get());
}

Result<BlobInfo> BlobFiles::put(std::string_view name, int source, const std::optional<std::string>& expected_digest,
                                Deadline deadline) const {
  if (expected_digest && !is_digest(*expected_digest))
    return Error{Code::invalid_argument, "member \"sha512_256\" must be 64 lower-case hex digits"};
  auto blob = writer(name);
  if (!blob) return blob.error();
  if (auto copied = blob->write_all_of(source, deadline); !copied) return copied.error();
  return blob->commit(name, expected_digest);
}

Result<BlobFiles::OpenBlob> BlobFiles::get(std::string_view name) const {
  if (auto checked = check_name(name); !checked) return checked.error();
  OpenBlob blob;
  blob.file.reset(::openat(blobs_.get(), path_of_name(name).c_str(), kOpenFlags));
  if (!blob.file) {
    if (errno == ENOENT) return Error{Code::not_found, "there is no blob " + std::string(name)};
    return errno_error(errno, "open blob " + std::string(name));
  }
  auto info = blob_info(blob.file.get());
  if (!info) return info.error().context("blob " + std::string(name));
  blob.info = std::move(*info);
  return blob;
}

Result<void> BlobFiles::remove(std::string_view name) const {
  if (auto checked = check_name(name); !checked) return checked;
  std::string path = path_of_name(name);
  if (::unlinkat(blobs_.get(), path.c_str(), 0) != 0) {
    if (errno == ENOENT) return Error{Code::not_found, "there is no blob " + std::string(name)};
    return errno_error(errno, "delete blob " + std::string(name));
  }
  for (auto slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/')) {
    path.resize(slash);
    const UniqueFd folder(::openat(blobs_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder && ::fsync(folder.get()) != 0) return errno_error(errno, "sync the deletion of " + std::string(name));
    if (::unlinkat(blobs_.get(), path.c_str(), AT_REMOVEDIR) != 0) return {};  // others are in it
  }
  if (::fsync(blobs_.get()) != 0) return errno_error(errno, "sync the deletion of " + std::string(name));
  return {};
}

Result<BlobList> BlobFiles::list(std::string_view prefix, std::size_t limit, std::string_view after) const {
  if (auto checked = check_prefix(prefix); !checked) return checked.error();
  limit = std::clamp<std::size_t>(limit, 1, kListMax);
  auto root = open_folder(blobs_.get(), ".");
  if (!root) return root.error();
  // One name more than asked tells whether there is more; folder order is not name order, hence the set.
  std::set<std::string> names;
  walk(std::move(*root), {}, prefix, [&](const std::string& name, int, const char*) {
    if (name <= after) return;
    names.insert(name);
    if (names.size() > limit + 1) names.erase(std::prev(names.end()));
  });
  BlobList result;
  for (const auto& name : names) {
    if (result.blobs.size() == limit) {
      result.more = true;
      break;
    }
    const UniqueFd file(::openat(blobs_.get(), path_of_name(name).c_str(), kOpenFlags));
    if (!file) continue;  // deleted while we looked
    if (auto info = blob_size_and_time(file.get())) result.blobs.push_back({name, info->size, info->created_at});
  }
  return result;
}

Result<BlobStatus> BlobFiles::status() const {
  BlobStatus status;
  auto root = open_folder(blobs_.get(), ".");
  if (!root) return root.error();
  walk(std::move(*root), {}, {}, [&](const std::string&, int folder, const char* entry) {
    struct stat found {};
    if (::fstatat(folder, entry, &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(found.st_mode)) return;
    ++status.blobs;
    status.bytes += static_cast<std::uint64_t>(found.st_size);
  });
  struct statvfs disk {};
  if (::fstatvfs(blobs_.get(), &disk) != 0) return errno_error(errno, "ask for free space");
  status.free_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  return status;
}

}  // namespace flynn::blobstore
