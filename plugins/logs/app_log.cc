#include "app_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace flynn::logs {
namespace {

constexpr std::string_view kSuffix = ".ndjson";
constexpr const char* kMarksFile = "/marks.json";

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return errno_error(errno, "open " + path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return errno_error(errno, "stat " + path);
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  const auto got = ::pread(fd.get(), text.data(), text.size(), 0);
  if (got < 0) return errno_error(errno, "read " + path);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

}  // namespace

Result<std::unique_ptr<AppLog>> AppLog::open(const std::string& folder, AppLogLimits limits) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make folder " + folder);
  std::unique_ptr<AppLog> log(new AppLog(folder, limits));
  if (auto loaded = log->load(); !loaded) return loaded.error();
  return log;
}

std::string AppLog::path_of(const Segment& segment) const {
  char name[32];
  std::snprintf(name, sizeof name, "/%020llu", static_cast<unsigned long long>(segment.base));
  return folder_ + name + std::string(kSuffix);
}

void AppLog::learn_marks(const std::string& text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    if (auto line = parse_json_object(std::string_view(text).substr(begin, end - begin)))
      if (auto mark = logs::mark_of(*line)) marks_[string_or(*line, "job_id")] = *mark;
    begin = end + 1;
  }
}

Result<void> AppLog::load() {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, failure)) {
    const auto name = entry.path().filename().string();
    if (!name.ends_with(kSuffix) || name.size() != 20 + kSuffix.size()) continue;
    segments_.push_back({std::strtoull(name.c_str(), nullptr, 10), 0});
  }
  if (failure) return Error{Code::internal, "read folder " + folder_ + ": " + failure.message()};
  std::sort(segments_.begin(), segments_.end(), [](const Segment& a, const Segment& b) { return a.base < b.base; });
  if (auto saved = read_file(folder_ + kMarksFile)) learn_marks(*saved);
  for (auto& segment : segments_) {
    auto text = read_file(path_of(segment));
    if (!text) return text.error();
    const auto newline = text->rfind('\n');
    segment.size = newline == std::string::npos ? 0 : newline + 1;
    if (segment.size < text->size() && ::truncate(path_of(segment).c_str(), static_cast<off_t>(segment.size)) != 0)
      return errno_error(errno, "cut a torn line off " + path_of(segment));
    learn_marks(*text);
  }
  if (segments_.empty()) return {};
  last_.reset(::open(path_of(segments_.back()).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!last_) return errno_error(errno, "open " + path_of(segments_.back()));
  return {};
}

Result<void> AppLog::new_segment() {
  Segment segment{segments_.empty() ? 0 : segments_.back().base + segments_.back().size, 0};
  last_.reset(::open(path_of(segment).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
  if (!last_) return errno_error(errno, "make log segment " + path_of(segment));
  segments_.push_back(segment);
  return {};
}

// What the oldest segment alone knew about jobs must outlive it.
void AppLog::save_marks() const {
  std::string text;
  for (const auto& [job_id, mark] : marks_) {
    Message message;
    message.job_id = job_id;
    text += line_of(message, mark);
  }
  const std::string path = folder_ + kMarksFile, next = path + ".next";
  const UniqueFd fd(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return;
  ::rename(next.c_str(), path.c_str());
}

void AppLog::drop_oldest() {
  const auto total = [&] { return segments_.back().base + segments_.back().size - segments_.front().base; };
  if (segments_.size() < 2 || total() <= limits_.total_bytes) return;
  save_marks();
  while (segments_.size() > 1 && total() > limits_.total_bytes) {
    ::unlink(path_of(segments_.front()).c_str());
    segments_.erase(segments_.begin());
  }
}

Result<void> AppLog::write(std::string_view lines) {
  if (closed_) return Error{Code::unavailable, "the log was handed to another version of the plugin; try again"};
  if (erased_) return {};
  if (segments_.empty() || segments_.back().size >= limits_.segment_bytes)
    if (auto made = new_segment(); !made) return made;
  auto& segment = segments_.back();
  for (std::size_t done = 0; done < lines.size();) {
    const auto written = ::write(last_.get(), lines.data() + done, lines.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      auto error = errno_error(errno, "write log segment " + path_of(segment));
      // Not half a batch: its job's mark would be wrong.
      if (::ftruncate(last_.get(), static_cast<off_t>(segment.size)) != 0)
        error.message += "; it could not be cut back";
      return error;
    }
    done += static_cast<std::size_t>(written);
  }
  segment.size += lines.size();
  drop_oldest();
  return {};
}

Result<void> AppLog::append(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  return write(lines);
}

Result<void> AppLog::append_of_job(std::string_view lines, const std::string& job_id, const Mark& mark) {
  const std::lock_guard lock(mutex_);
  const auto before = marks_.find(job_id);
  const auto old = before == marks_.end() ? std::optional<Mark>() : std::optional<Mark>(before->second);
  marks_[job_id] = mark;
  auto written = write(lines);
  if (!written) {
    marks_.erase(job_id);
    if (old) marks_[job_id] = *old;
  }
  return written;
}

std::optional<Mark> AppLog::mark_of_job(const std::string& job_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = marks_.find(job_id);
  return found == marks_.end() ? std::nullopt : std::optional(found->second);
}

void AppLog::forget_job(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  marks_.erase(job_id);
}

std::uint64_t AppLog::begin() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? 0 : segments_.front().base;
}

std::uint64_t AppLog::end() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? 0 : segments_.back().base + segments_.back().size;
}

std::string AppLog::read(std::uint64_t& position, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  return read_locked(position, limit);
}

std::string AppLog::read_locked(std::uint64_t& position, std::size_t limit) const {
  if (segments_.empty()) return {};
  position = std::max(position, segments_.front().base);
  auto after = std::upper_bound(segments_.begin(), segments_.end(), position,
                                [](std::uint64_t at, const Segment& segment) { return at < segment.base; });
  const auto& segment = *std::prev(after);
  const auto offset = position - segment.base;
  if (offset >= segment.size) return {};
  std::string text(std::min<std::uint64_t>(limit, segment.size - offset), '\0');
  const UniqueFd fd(::open(path_of(segment).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  const auto got = fd ? ::pread(fd.get(), text.data(), text.size(), static_cast<off_t>(offset)) : -1;
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

std::uint64_t AppLog::position_of_last(std::int64_t lines, const Filter& filter) const {
  const std::lock_guard lock(mutex_);
  if (segments_.empty()) return 0;
  std::uint64_t position = segments_.back().base + segments_.back().size;
  if (lines < 0) return segments_.front().base;
  for (auto segment = segments_.rbegin(); segment != segments_.rend() && lines > 0; ++segment) {
    std::uint64_t base = segment->base;
    const std::string text = read_locked(base, segment->size);
    for (std::size_t end = text.size(); end > 0 && lines > 0;) {
      const auto newline = end < 2 ? std::string::npos : text.rfind('\n', end - 2);
      const auto begin = newline == std::string::npos ? 0 : newline + 1;
      if (filter.passes(std::string_view(text).substr(begin, end - begin - 1))) {
        --lines;
        position = segment->base + begin;
      }
      end = begin;
    }
  }
  return position;
}

void AppLog::erase() {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  erased_ = true;
  segments_.clear();
  marks_.clear();
  last_.reset();
  std::error_code ignored;  // what stays is removed at the next start
  std::filesystem::remove_all(folder_, ignored);
}

void AppLog::close() {
  const std::lock_guard lock(mutex_);
  erased_ = closed_ = true;
  segments_.clear();
  last_.reset();
}

bool AppLog::erased() const {
  const std::lock_guard lock(mutex_);
  return erased_;
}

}  // namespace flynn::logs
