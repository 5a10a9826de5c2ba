#include "audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "flynn/sdk/stream.h"
#include "sha256.h"

namespace flynn::core {
namespace {

// The last entry begins somewhere in the last so many bytes, unless a power cut left more than that in ruins.
constexpr off_t kTailBytes = 4 * static_cast<off_t>(kAuditLineBytesMax);

struct Tail {
  AuditHead head;           // of the last good line
  std::string last_digest;  // of the last line, good or cut
  std::int64_t cut_lines = 0;
  bool ends_in_line_feed = true, has_entry = false;
};

Tail judge_tail(std::string_view text) {
  Tail tail;
  tail.ends_in_line_feed = text.empty() || text.back() == '\n';
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    tail.last_digest = sha256_hex(line);
    const auto entry = parse_json_object(line);
    const auto seq = entry ? find_int(*entry, "seq") : std::nullopt;
    if (seq && string_or(*entry, "prev").size() == tail.last_digest.size()) {
      tail.head = {*seq, tail.last_digest};
      tail.has_entry = true;
      tail.cut_lines = 0;
    } else {
      ++tail.cut_lines;
    }
  }
  return tail;
}

}  // namespace

Result<AuditFile> AuditFile::open(const std::filesystem::path& file, const std::string& node) {
  AuditFile log;
  log.path_ = file;
  log.fd_.reset(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.fd_) return errno_error(errno, "open " + file.string());
  if (auto begun = log.begin(node); !begun) return begun.error().context(file.string());
  return log;
}

Result<void> AuditFile::begin(const std::string& node) {
  struct stat facts {};
  if (::fstat(fd_.get(), &facts) != 0) return errno_error(errno, "stat");
  node_ = node;
  if (facts.st_size > 0) return recover();
  json::object first{{"action", "log_begins"}, {"node", node}};
  // The log of earlier versions had no chain; it stays, and its digest stands here.
  const auto older = path_.parent_path() / "history.ndjson";
  if (auto digest = sha256_of_file(older)) first["before"] = {{"file", older.filename().string()}, {"sha256", *digest}};
  auto written = write(first);
  if (!written) return written.error();
  const UniqueFd folder(::open(path_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return errno_error(errno, "sync " + path_.parent_path().string());
  return {};
}

Result<void> AuditFile::recover() {
  struct stat facts {};
  if (::fstat(fd_.get(), &facts) != 0) return errno_error(errno, "stat");
  const off_t from = std::max<off_t>(0, facts.st_size - kTailBytes);
  std::string text(static_cast<std::size_t>(facts.st_size - from), '\0');
  const auto got = ::pread(fd_.get(), text.data(), text.size(), from);
  if (got != static_cast<ssize_t>(text.size())) return errno_error(got < 0 ? errno : EIO, "read the audit log");
  std::string_view lines = text;
  if (from > 0) lines.remove_prefix(std::min(lines.find('\n') + 1, lines.size()));
  const auto tail = judge_tail(lines);
  if (!tail.has_entry && from > 0)
    return Error{Code::failed_precondition,
                 "its last 512 KiB hold no entry: it is no audit log any more; move it away and keep it"};
  head_ = tail.head;
  doubtful_ = false;
  if (!tail.ends_in_line_feed)
    if (auto ended = write_all(fd_.get(), "\n", Deadline::none()); !ended) return ended.error();
  if (tail.cut_lines == 0) return {};
  head_.digest = tail.last_digest;
  auto written = write({{"action", kAuditSegment},
                        {"node", node_},
                        {"cut_lines", tail.cut_lines},
                        {"why", "the lines before this one were cut short: power failed, or the disk was full"}});
  if (!written) return written.error();
  return {};
}

Result<std::int64_t> AuditFile::write(const json::object& entry) {
  struct stat before {};
  if (::fstat(fd_.get(), &before) != 0) return errno_error(errno, "stat");
  auto next = head_;
  const auto line = chain_entry(next, entry) + "\n";
  if (auto written = write_all(fd_.get(), line, Deadline::none()); !written) {
    // Half a line must not stay; if it has to, the next entry begins a segment.
    doubtful_ = ::ftruncate(fd_.get(), before.st_size) != 0;
    return written.error().context("write " + path_.string());
  }
  head_ = next;
  if (::fdatasync(fd_.get()) != 0) return errno_error(errno, "sync " + path_.string());
  return head_.seq;
}

Result<std::int64_t> AuditFile::append(const json::object& entry) {
  if (doubtful_)
    if (auto found = recover(); !found) {
      ++lost_;
      return found.error();
    }
  auto told = entry;
  if (lost_ > 0) told["lost_before"] = lost_;
  auto written = write(told);
  if (written)
    lost_ = 0;
  else
    ++lost_;
  return written;
}

}  // namespace flynn::core
