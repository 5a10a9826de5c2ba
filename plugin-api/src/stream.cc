#include "flynn/sdk/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace flynn {

Result<std::pair<UniqueFd, UniqueFd>> make_stream() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return errno_error(errno, "make a stream");
  UniqueFd provider(ends[0]), reader(ends[1]);
  // Only ours: the reader decides for itself, and O_NONBLOCK belongs to the open description.
  if (::fcntl(provider.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "make a stream");
  return std::pair(std::move(provider), std::move(reader));
}

Result<UniqueFd> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return errno_error(errno, "duplicate a descriptor");
  return UniqueFd(copy);
}

Result<void> write_all(int fd, std::string_view text, Deadline deadline) {
  while (!text.empty()) {
    ssize_t written = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0 && errno == ENOTSOCK) written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno_error(errno, "write to a stream");
    if (deadline.passed()) return Error{Code::deadline_exceeded, "write to a stream: the reader does not read"};
    pollfd entry{fd, POLLOUT, 0};
    ::poll(&entry, 1, deadline.left_ms(1000));
  }
  return {};
}

bool LineReader::take_line() {
  const auto end = buffer_.find('\n', scanned_);
  if (end == std::string::npos) {
    scanned_ = buffer_.size();
    return false;
  }
  line_.assign(buffer_, 0, end);
  buffer_.erase(0, end + 1);
  scanned_ = 0;
  return true;
}

Result<LineReader::Status> LineReader::next(Deadline deadline, int stop_fd) {
  std::array<char, 65536> chunk;
  while (!take_line()) {
    if (buffer_.size() > max_) return Error{Code::resource_exhausted, "read a stream: a line is too long"};
    std::array<pollfd, 2> entries{pollfd{fd_.get(), POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
    const int ready = ::poll(entries.data(), stop_fd >= 0 ? 2 : 1, deadline.left_ms());
    if (ready < 0 && errno != EINTR) return errno_error(errno, "read a stream");
    if (stop_fd >= 0 && entries[1].revents != 0) return Status::stopped;
    if (ready <= 0) {
      if (deadline.passed()) return Status::timeout;
      continue;
    }
    const ssize_t got = ::read(fd_.get(), chunk.data(), chunk.size());
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return Status::end;
    if (got < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return errno_error(errno, "read a stream");
    }
    buffer_.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return Status::line;
}

std::optional<Error> stream_error(const json::object& line) {
  const auto* error = find_object(line, "error");
  if (error == nullptr) return std::nullopt;
  return Error{code_from_name(string_or(*error, "code")), string_or(*error, "message")};
}

}  // namespace flynn
