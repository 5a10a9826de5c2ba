#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "mounts.h"

namespace flynn::host {
namespace {

Result<void> write_all_bytes(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno_error(errno, "write " + path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open " + path);
  std::string text;
  char chunk[8192];
  while (true) {
    const auto got = ::read(fd.get(), chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read " + path);
    if (got == 0) return text;
    text.append(chunk, static_cast<std::size_t>(got));
    if (text.size() > bytes_max) return Error{Code::resource_exhausted, path + " is longer than expected"};
  }
}

Result<void> write_file(const std::string& path, std::string_view text, mode_t mode) {
  const auto temporary = path + ".tmp";
  ::unlink(temporary.c_str());
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return errno_error(errno, "create " + temporary);
  ::fchmod(fd.get(), mode);
  if (auto written = write_all_bytes(fd.get(), text, temporary); !written) return written;
  if (::fsync(fd.get()) != 0) return errno_error(errno, "fsync " + temporary);
  fd.reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error(errno, "rename to " + path);
  return {};
}

Result<void> write_control(const std::string& path, std::string_view text) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open " + path);
  if (::write(fd.get(), text.data(), text.size()) < 0) return errno_error(errno, "write " + path);
  return {};
}

Result<void> make_folders(const std::string& path, mode_t mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const auto part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return errno_error(errno, "make folder " + part);
    if (end == std::string::npos) break;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno_error(errno, "make folder " + path);
  if (!S_ISDIR(info.st_mode)) return Error{Code::failed_precondition, path + " is not a folder"};
  return {};
}

Result<void> remove_tree(const std::string& path) {
  if (!mounts_below(path).empty()) {
    return Error{Code::failed_precondition, "remove " + path + ": something is still mounted there"};
  }
  std::error_code code;
  std::filesystem::remove_all(path, code);
  if (code) return errno_error(code.value(), "remove " + path);
  return {};
}

std::vector<std::string> list_folder(const std::string& path) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
  if (!folder) return names;
  while (const auto* entry = ::readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool path_exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace flynn::host
