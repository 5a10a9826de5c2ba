#include "job_tail.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

namespace flynn::logs {
namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;

}  // namespace

JobTail::JobTail(TailedJob job, std::shared_ptr<AppLog> log, Borrow borrow)
    : job_(std::move(job)), log_(std::move(log)), borrow_(std::move(borrow)) {}

void JobTail::rewind_to(const Mark& mark) {
  lines_ = CriLines(mark.resume);
  skip_until_ = mark.end;
}

// The folder is the host plugin's; in a cage it is closed to us, and the descriptor comes through the door.
Result<UniqueFd> JobTail::open_path() const {
  UniqueFd file(::open(job_.log_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file) return file;
  if (errno == EACCES) return borrow_(job_.id);
  if (errno == ENOENT) return Error{Code::not_found, "there is none"};
  return errno_error(errno, job_.log_path);
}

// False: it is not there (yet).
Result<bool> JobTail::open_file() {
  auto file = open_path();
  if (!file && file.error().code == Code::not_found) return false;
  if (!file) return file.error().context("open the log of job " + job_.id);
  struct stat status {};
  if (::fstat(file->get(), &status) != 0) return errno_error(errno, "stat the log of job " + job_.id);
  if (!S_ISREG(status.st_mode))
    return Error{Code::failed_precondition, "the log of job " + job_.id + " is not a regular file"};
  file_ = std::move(*file);
  inode_ = status.st_ino;
  const auto mark = log_->mark_of_job(job_.id);
  rewind_to(mark && mark->inode == inode_ ? *mark : Mark{inode_, 0, 0});
  return true;
}

Result<JobTail::Progress> JobTail::at_end() {
  struct stat ours {
  }, named{};
  if (::fstat(file_.get(), &ours) != 0) return errno_error(errno, "stat the log of job " + job_.id);
  if (static_cast<std::uint64_t>(ours.st_size) < lines_.offset()) {  // cut back in place
    rewind_to({inode_, 0, 0});
    return ours.st_size > 0 ? Progress::more : Progress::idle;
  }
  const bool is_named = ::stat(job_.log_path.c_str(), &named) == 0;
  if (is_named ? named.st_ino != inode_ : errno == EACCES && ours.st_nlink == 0) {
    file_.reset();  // replaced: the new one is next
    return Progress::more;
  }
  return job_.down ? Progress::finished : Progress::idle;
}

Result<JobTail::Progress> JobTail::step() {
  if (!file_) {
    auto opened = open_file();
    if (!opened) return opened.error();
    if (!*opened) return job_.down ? Progress::finished : Progress::idle;
  }
  std::vector<char> chunk(kChunkBytes);
  const auto got = ::pread(file_.get(), chunk.data(), chunk.size(), static_cast<off_t>(lines_.offset()));
  if (got < 0) return errno_error(errno, "read the log of job " + job_.id);
  if (got == 0) return at_end();
  const CriLines before = lines_;
  std::string batch;
  Mark last;
  lines_.feed({chunk.data(), static_cast<std::size_t>(got)}, [&](const CriLine& line, std::uint64_t end,
                                                                 std::uint64_t resume) {
    if (end <= skip_until_) return;  // stored before a restart
    last = {inode_, end, resume};
    batch += line_of(
        {job_.app_id, "app", line.stream, job_.process_type, job_.id, job_.host_id, line.msg, line.timestamp_us}, last);
  });
  if (batch.empty()) return Progress::more;
  if (auto stored = log_->append_of_job(batch, job_.id, last); !stored) {
    lines_ = before;
    return stored.error();
  }
  return Progress::more;
}

}  // namespace flynn::logs
