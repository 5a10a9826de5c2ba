#include "access_audit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "document.h"
#include "ident.h"

namespace flynn::controller {
namespace {

constexpr std::size_t kLineMax = 16 * 1024;
constexpr std::size_t kPathMax = 2000;
constexpr std::string_view kSuffix = ".ndjson";

/// Held while a line is written: during a swap the version that goes and the one that came both write.
class FileLock {
 public:
  explicit FileLock(int fd) : fd_(fd) { ::flock(fd_, LOCK_EX); }
  ~FileLock() { ::flock(fd_, LOCK_UN); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

Result<std::uint64_t> size_of(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return errno_error(errno, "look at the access log");
  return static_cast<std::uint64_t>(facts.st_size);
}

}  // namespace

json::object access_line(const Identity& who, std::string_view method, std::string_view path, int status) {
  std::string clean;
  for (unsigned char c : path.substr(0, kPathMax)) clean += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?';
  return {{"key", who.id}, {"name", who.name}, {"method", method}, {"path", clean}, {"status", status}};
}

std::string AccessAudit::path_of(std::uint64_t number) const {
  char name[32];
  std::snprintf(name, sizeof name, "%012llu", static_cast<unsigned long long>(number));
  return options_.folder + "/" + name + std::string(kSuffix);
}

std::vector<std::string> AccessAudit::files() const {
  std::vector<std::string> out;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder, none)) {
    if (entry.path().extension() == kSuffix) out.push_back(entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Cuts off a last line that was not written to its end.
Result<std::string> AccessAudit::last_digest(int fd, std::uint64_t size) const {
  std::uint64_t from = size > kLineMax ? size - kLineMax : 0;
  std::string tail(size - from, '\0');
  if (::pread(fd, tail.data(), tail.size(), static_cast<off_t>(from)) != static_cast<ssize_t>(tail.size()))
    return errno_error(errno, "read the access log");
  const std::size_t end = tail.rfind('\n');
  const std::size_t whole = end == std::string::npos ? 0 : end + 1;
  if (whole < tail.size() && ::ftruncate(fd, static_cast<off_t>(from + whole)) != 0)
    return errno_error(errno, "cut off the torn last line of the access log");
  if (whole == 0) return std::string();
  std::size_t before = tail.rfind('\n', end - 1);
  std::size_t begin = before == std::string::npos ? 0 : before + 1;
  return sha256_hex(std::string_view(tail).substr(begin, end - begin));
}

Result<void> AccessAudit::open_lock() {
  if (lock_) return {};
  std::error_code failed;
  std::filesystem::create_directories(options_.folder, failed);
  if (failed) return Error{Code::internal, "make " + options_.folder + ": " + failed.message()};
  lock_.reset(::open((options_.folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  return lock_ ? Result<void>() : errno_error(errno, "open " + options_.folder + "/lock");
}

Result<void> AccessAudit::open_newest() {
  auto known = files();
  number_ = known.empty() ? 1 : std::stoull(std::filesystem::path(known.back()).stem().string());
  UniqueFd file(::open(path_of(number_).c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "open " + path_of(number_));
  file_ = std::move(file);
  size_ = 0;
  last_.clear();
  return {};
}

/// Of the newest whole line: in the file that is written, or where it has none yet, in the one before.
Result<std::string> AccessAudit::newest_digest(std::uint64_t size) const {
  auto digest = last_digest(file_.get(), size);
  if (!digest || !digest->empty()) return digest;
  const auto known = files();
  const auto here = std::find(known.begin(), known.end(), path_of(number_));
  if (here == known.begin() || here == known.end()) return digest;
  UniqueFd before(::open(std::prev(here)->c_str(), O_RDWR | O_CLOEXEC));
  if (!before) return errno_error(errno, "open " + *std::prev(here));
  auto size_before = size_of(before.get());
  if (!size_before) return size_before.error();
  return last_digest(before.get(), *size_before);
}

Result<void> AccessAudit::next_file() {
  ++number_;
  UniqueFd file(::open(path_of(number_).c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "open " + path_of(number_));
  file_ = std::move(file);
  size_ = 0;
  auto known = files();
  for (std::size_t i = 0; i + options_.files < known.size(); ++i) ::unlink(known[i].c_str());
  return {};
}

Result<void> AccessAudit::append(json::object line) {
  std::lock_guard guard(mutex_);
  if (auto opened = open_lock(); !opened) return opened;
  FileLock lock(lock_.get());
  // The other version of a swap may have begun the next file.
  if (!file_ || ::access(path_of(number_ + 1).c_str(), F_OK) == 0) {
    if (auto opened = open_newest(); !opened) return opened;
  }
  auto size = size_of(file_.get());
  if (!size) return size.error();
  if (*size != size_ || last_.empty()) {
    auto digest = newest_digest(*size);
    if (!digest) return digest.error();
    last_ = *digest;
  }
  line["at"] = now_text();
  line["prev"] = last_;
  const std::string text = json::serialize(line);
  const std::string bytes = text + "\n";
  if (bytes.size() > kLineMax) return Error{Code::invalid_argument, "a line of the access log is too long"};
  if (::write(file_.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return errno_error(errno, "write to " + path_of(number_));
  last_ = sha256_hex(text);
  auto now = size_of(file_.get());
  if (!now) return now.error();
  size_ = *now;
  if (size_ >= options_.file_bytes) return next_file();
  return {};
}

Result<json::array> AccessAudit::newest(std::size_t count, const std::string& key) {
  std::lock_guard guard(mutex_);
  json::array out;
  auto known = files();
  for (auto path = known.rbegin(); path != known.rend() && out.size() < count; ++path) {
    std::ifstream file(*path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
    for (auto line = lines.rbegin(); line != lines.rend() && out.size() < count; ++line) {
      auto parsed = parse_json_object(*line);
      if (!parsed || (!key.empty() && text_of(*parsed, "key") != key)) continue;
      out.push_back(std::move(*parsed));
    }
  }
  return out;
}

Result<std::uint64_t> AccessAudit::verify() {
  std::lock_guard guard(mutex_);
  std::uint64_t checked = 0;
  std::optional<std::string> before;  // unknown before the oldest file that is kept
  for (const std::string& path : files()) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line); ++checked) {
      auto parsed = parse_json_object(line);
      if (!parsed || (before && text_of(*parsed, "prev") != *before)) {
        return Error{Code::failed_precondition, "the access log is broken at line " + std::to_string(checked + 1) +
                                                    " (" + (parsed ? text_of(*parsed, "at") : std::string("no JSON")) +
                                                    "): a line before it was changed or taken away"};
      }
      before = sha256_hex(line);
    }
  }
  return checked;
}

}  // namespace flynn::controller
