#include "attach_client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace flynn::builder {
namespace {

constexpr std::size_t kChunkBytes = 65536;
constexpr std::size_t kFrameBytesMax = 16u << 20;
constexpr std::size_t kLineBytesMax = 8192;
enum : std::uint8_t { kFrameError = 2, kFrameData = 3, kFrameExit = 5 };

std::uint32_t number_at(const std::string& text, std::size_t at) {
  auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at + i])); };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

void append_data_frame(std::string& out, const char* data, std::size_t size) {
  out.push_back(static_cast<char>(kFrameData));
  out.push_back(0);
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(size >> shift));
  out.append(data, size);
}

// Splits into lines; what follows a carriage return replaces what stood before it, as on a terminal.
class LineSplitter {
 public:
  explicit LineSplitter(const LineSink& sink) : sink_(sink) {}
  void feed(std::string_view text) {
    for (char c : text) {
      if (c == '\n')
        flush();
      else if (c == '\r')
        returned_ = true;
      else {
        if (returned_) line_.clear();
        returned_ = false;
        line_.push_back(c);
        if (line_.size() >= kLineBytesMax) flush();
      }
    }
  }
  void end() {
    if (!line_.empty()) flush();
  }

 private:
  void flush() {
    sink_(line_);
    line_.clear();
    returned_ = false;
  }
  const LineSink& sink_;
  std::string line_;
  bool returned_ = false;
};

class Relay {
 public:
  Relay(UniqueFd socket, UniqueFd source, const LineSink& line, const AttachOptions& options)
      : socket_(std::move(socket)),
        source_(std::move(source)),
        sink_(line),
        options_(options),
        out_(line),
        err_(line) {}
  Result<int> run();

 private:
  Result<void> wait();
  Result<void> read_source();
  Result<void> send();
  Result<void> receive();
  Result<bool> take_frame();
  void notice_silence();

  UniqueFd socket_, source_;
  const LineSink& sink_;
  const AttachOptions& options_;
  LineSplitter out_, err_;
  std::string outbound_, inbound_;
  std::size_t sent_ = 0;
  Deadline quiet_until_;
  bool source_ready_ = false, socket_readable_ = false, socket_writable_ = false, ended_ = false;
  int status_ = 0;
};

Result<void> Relay::wait() {
  auto set = options_.cancel.poll_set();
  std::size_t cancel_count = set.size();
  short wanted = static_cast<short>(POLLIN | (sent_ < outbound_.size() ? POLLOUT : 0));
  set.push_back({socket_.get(), wanted, 0});
  set.push_back({sent_ < outbound_.size() ? -1 : source_.get(), POLLIN, 0});
  int ready = ::poll(set.data(), set.size(), std::min(options_.deadline.left_ms(), quiet_until_.left_ms()));
  if (ready < 0 && errno != EINTR) return errno_error(errno, "wait for the build");
  for (std::size_t i = 0; i < cancel_count; ++i) {
    if (set[i].revents != 0)
      return Error{Code::cancelled, "the build was given up: the client has gone or the builder stops"};
  }
  socket_readable_ = (set[cancel_count].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
  socket_writable_ = (set[cancel_count].revents & POLLOUT) != 0;
  source_ready_ = set[cancel_count + 1].revents != 0;
  if (options_.deadline.passed()) return Error{Code::deadline_exceeded, "the build took too long"};
  return {};
}

Result<void> Relay::read_source() {
  char buffer[kChunkBytes];
  ssize_t size = ::read(source_.get(), buffer, sizeof buffer);
  if (size < 0) return errno == EINTR || errno == EAGAIN ? Result<void>() : errno_error(errno, "read the source");
  append_data_frame(outbound_, buffer, static_cast<std::size_t>(size));
  if (size == 0) {
    source_.reset();
    if (options_.on_source_end) options_.on_source_end();
  }
  return {};
}

Result<void> Relay::send() {
  ssize_t size = ::send(socket_.get(), outbound_.data() + sent_, outbound_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (size < 0) {
    if (errno == EINTR || errno == EAGAIN) return {};
    // It no longer reads; what it says at its end is still to come.
    source_.reset();
    size = static_cast<ssize_t>(outbound_.size() - sent_);
  }
  sent_ += static_cast<std::size_t>(size);
  if (sent_ == outbound_.size()) {
    outbound_.clear();
    sent_ = 0;
  }
  return {};
}

Result<bool> Relay::take_frame() {
  if (inbound_.empty()) return false;
  auto type = static_cast<std::uint8_t>(inbound_[0]);
  std::size_t head = type == kFrameData ? 6 : 5;
  if (type != kFrameError && type != kFrameData && type != kFrameExit)
    return Error{Code::internal, "the host sent an unknown frame"};
  if (inbound_.size() < head) return false;
  std::uint32_t number = number_at(inbound_, head - 4);
  if (type == kFrameExit) {
    ended_ = true;
    status_ = static_cast<int>(number);
    return false;
  }
  if (number > kFrameBytesMax) return Error{Code::internal, "the host sent a frame that is too large"};
  if (inbound_.size() < head + number) return false;
  std::string_view payload = std::string_view(inbound_).substr(head, number);
  if (type == kFrameError) return Error{Code::unavailable, std::string(payload)};
  (inbound_[1] == 2 ? err_ : out_).feed(payload);
  inbound_.erase(0, head + number);
  return true;
}

Result<void> Relay::receive() {
  char buffer[kChunkBytes];
  ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (size < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (size <= 0) return Error{Code::unavailable, "the host closed the build's stream"};
  quiet_until_ = Deadline::after(options_.silence_notice);
  inbound_.append(buffer, static_cast<std::size_t>(size));
  for (;;) {
    auto more = take_frame();
    if (!more) return more.error();
    if (!*more) return {};
  }
}

void Relay::notice_silence() {
  if (!quiet_until_.passed()) return;
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.silence_notice).count();
  sink_("       (no output for " + std::to_string(seconds) + " s, still building)");
  quiet_until_ = Deadline::after(options_.silence_notice);
}

Result<int> Relay::run() {
  quiet_until_ = Deadline::after(options_.silence_notice);
  while (!ended_) {
    if (auto waited = wait(); !waited) return waited.error();
    if (source_ready_ && source_) {
      if (auto read = read_source(); !read) return read.error();
    }
    if (socket_writable_ && sent_ < outbound_.size()) {
      if (auto sent = send(); !sent) return sent.error();
    }
    if (socket_readable_) {
      if (auto received = receive(); !received) return received.error();
    }
    notice_silence();
  }
  out_.end();
  err_.end();
  return status_;
}

}  // namespace

Result<int> relay_job(UniqueFd socket, UniqueFd source, const LineSink& line, const AttachOptions& options) {
  return Relay(std::move(socket), std::move(source), line, options).run();
}

}  // namespace flynn::builder
