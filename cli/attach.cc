#include "attach.h"

#include <Poco/Exception.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "frames.h"
#include "terminal.h"

namespace flynn::cli {
namespace {

using std::chrono::steady_clock;

// While the job does not read, this much of our stdin waits here and no more is read.
constexpr std::size_t kOutgoingMax = 256U << 10U;
constexpr std::size_t kReadSize = 32U << 10U;
constexpr std::chrono::seconds kKillAfter{10};
const Poco::Timespan kTlsWait(0, 1000);

Error lost(const std::string& why) {
  return failure("attached job: the connection ended before the job's exit status came: " + why,
                 "The job may still run: 'flynn ps -a' and 'flynn log' show it.");
}

/// A full or empty buffer: a TimeoutException in some places of Poco, an IOException with the code in others.
bool would_block(const Poco::Exception& error) {
  return error.code() == EAGAIN || error.code() == EWOULDBLOCK || error.code() == EINTR;
}

/// One session: a single thread that never blocks on either side, so that neither can hold up the other.
class Session {
 public:
  Session(Upgraded connection, const AttachIo& io) : socket_(std::move(connection.socket)), io_(io) {
    reader_.feed(connection.early);
  }

  Result<int> run() {
    socket_.setBlocking(false);
    if (socket_.secure()) {
      // Poco 1.11 waits inside of its TLS calls for as long as these say, blocking or not.
      socket_.setReceiveTimeout(kTlsWait);
      socket_.setSendTimeout(kTlsWait);
    }
    if (io_.stdin_fd < 0) end_stdin();
    if (io_.tty) send_window_size();
    for (;;) {
      if (auto frames = take_frames(); !frames) return frames.error();
      if (exit_status_) return static_cast<int>(*exit_status_);
      if (closed_) return lost("end of stream");
      if (auto flushed = flush(); !flushed) return flushed.error();
      wait();
      if (auto received = receive(); !received) return received.error();
      read_stdin();
      pass_signals();
    }
  }

 private:
  void wait() {
    const bool want_stdin = stdin_open_ && outgoing_.size() < kOutgoingMax;
    std::array<pollfd, 3> polled{{
        {socket_.impl()->sockfd(), static_cast<short>(POLLIN | (outgoing_.empty() ? 0 : POLLOUT)), 0},
        {want_stdin ? io_.stdin_fd : -1, POLLIN, 0},
        {signals_.fd(), POLLIN, 0},
    }};
    // TLS may hold whole records that poll can't see.
    const bool buffered = socket_.secure() && socket_.available() > 0;
    poll(polled.data(), polled.size(), buffered ? 0 : poll_timeout_ms());
    socket_ready_ = buffered || (polled[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    stdin_ready_ = (polled[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
  }

  [[nodiscard]] int poll_timeout_ms() const {
    if (!kill_at_) return -1;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*kill_at_ - steady_clock::now()).count();
    return left > 0 ? static_cast<int>(left) + 1 : 0;
  }

  Status receive() {
    if (!socket_ready_) return Done{};
    std::array<char, kReadSize> bytes;
    try {
      for (;;) {
        const int count = socket_.receiveBytes(bytes.data(), static_cast<int>(bytes.size()));
        if (count < 0) return Done{};
        if (count == 0) {
          closed_ = true;
          return Done{};
        }
        reader_.feed({bytes.data(), static_cast<std::size_t>(count)});
        if (static_cast<std::size_t>(count) < bytes.size()) return Done{};
        if (auto frames = take_frames(); !frames) return frames;
      }
    } catch (const Poco::TimeoutException&) {
      return Done{};  // how Poco says EAGAIN on some paths
    } catch (const Poco::Exception& error) {
      if (would_block(error)) return Done{};
      return lost(error.displayText());
    }
  }

  Status flush() {
    try {
      while (!outgoing_.empty()) {
        const int sent = socket_.sendBytes(outgoing_.data(), static_cast<int>(outgoing_.size()));
        if (sent <= 0) return Done{};
        outgoing_.erase(0, static_cast<std::size_t>(sent));
      }
      return Done{};
    } catch (const Poco::TimeoutException&) {
      return Done{};
    } catch (const Poco::Exception& error) {
      if (would_block(error)) return Done{};
      // The job may have ended; its exit status may be waiting to be read.
      outgoing_.clear();
      if (stdin_open_) stdin_open_ = false;
      if (++send_failures_ > 1) return lost(error.displayText());
      return Done{};
    }
  }

  Status take_frames() {
    for (;;) {
      auto frame = reader_.next();
      if (!frame) return frame.error();
      if (!frame->has_value()) return Done{};
      if (auto handled = handle(**frame); !handled) return handled;
      if (exit_status_) return Done{};
    }
  }

  Status handle(const Frame& frame) {
    switch (frame.type) {
      case FrameType::kData:
        return write_output(frame);
      case FrameType::kExit:
        exit_status_ = frame.number;
        return Done{};
      case FrameType::kError:
        return failure("attached job: " + frame.payload);
      default:
        return Done{};
    }
  }

  Status write_output(const Frame& frame) {
    const bool to_stdout = frame.stream == static_cast<std::uint8_t>(Stream::kStdout);
    const int fd = to_stdout ? io_.stdout_fd : io_.stderr_fd;
    std::string_view rest = frame.payload;
    while (!rest.empty()) {
      const ssize_t written = write(fd, rest.data(), rest.size());
      if (written < 0 && errno == EAGAIN) {
        pollfd writable{fd, POLLOUT, 0};
        poll(&writable, 1, -1);
        continue;
      }
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failure(std::string("write the job's output: ") + std::strerror(errno));
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    return Done{};
  }

  void read_stdin() {
    if (!stdin_ready_ || !stdin_open_) return;
    stdin_ready_ = false;
    std::array<char, kReadSize> bytes;
    const ssize_t count = read(io_.stdin_fd, bytes.data(), bytes.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) return end_stdin();
    outgoing_ += encode_data(Stream::kStdin, {bytes.data(), static_cast<std::size_t>(count)});
  }

  void end_stdin() {
    stdin_open_ = false;
    outgoing_ += encode_data(Stream::kStdin, "");
  }

  void pass_signals() {
    for (const int signal : signals_.take()) {
      if (signal == SIGWINCH) {
        if (!io_.tty) continue;
        send_window_size();
      } else if (!kill_at_) {
        kill_at_ = steady_clock::now() + kKillAfter;
      }
      outgoing_ += encode_signal(static_cast<std::uint32_t>(signal));
    }
    if (kill_at_ && steady_clock::now() >= *kill_at_) {
      outgoing_ += encode_signal(SIGKILL);
      kill_at_ = steady_clock::now() + kKillAfter;
    }
  }

  void send_window_size() {
    const WindowSize size = window_size(io_.stdout_fd);
    outgoing_ += encode_resize(size.rows, size.columns);
  }

  Poco::Net::StreamSocket socket_;
  AttachIo io_;
  SignalInbox signals_;
  FrameReader reader_;
  std::string outgoing_;
  std::optional<std::uint32_t> exit_status_;
  std::optional<steady_clock::time_point> kill_at_;
  int send_failures_ = 0;
  bool stdin_open_ = true;
  bool stdin_ready_ = false;
  bool socket_ready_ = false;
  bool closed_ = false;
};

}  // namespace

Result<int> run_attached(Upgraded connection, const AttachIo& io) {
  std::optional<RawMode> raw;
  if (io.tty) raw.emplace(io.stdin_fd);
  return Session(std::move(connection), io).run();
}

}  // namespace flynn::cli
