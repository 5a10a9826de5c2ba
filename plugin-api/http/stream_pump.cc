#include "stream_pump.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sse.h"

namespace flynn::http {
namespace {

constexpr std::size_t kBufferedMax = 256 * 1024;
constexpr std::size_t kChunkSize = 64 * 1024;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

/// Sends what it can; false when the other side is gone.
bool send_some(int fd, std::string& buffer) {
  std::size_t sent = 0;
  while (sent < buffer.size()) {
    // A source may be a pipe or a file, but only sockets are ever written to.
    ssize_t n = ::send(fd, buffer.data() + sent, buffer.size() - sent, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (would_block()) break;
      return false;
    }
    sent += static_cast<std::size_t>(n);
  }
  buffer.erase(0, sent);
  return true;
}

}  // namespace

struct StreamPump::Stream {
  std::uint64_t id = 0;
  std::unique_ptr<StreamStart> start;
  UniqueFd client;
  std::string to_client, to_source;
  bool source_ended = false, client_ended = false, source_shut = false;
  bool feed_waits = false;  // the feed may hold something that its client was too far behind for
  bool dead = false;        // the client is gone: end it now
  std::uint32_t client_mask = 0, source_mask = 0;
  std::chrono::steady_clock::time_point last_sent;

  bool ending() const { return dead || (source_ended && to_client.empty()); }
};

StreamPump::StreamPump(std::string name, std::chrono::milliseconds keep_alive)
    : name_(std::move(name)), keep_alive_(keep_alive) {}

StreamPump::~StreamPump() { stop(); }

std::string StreamPump::start() {
  if (thread_.joinable()) return {};
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  wake_fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  if (!epoll_ || !wake_fd_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_fd_.get(), &event) != 0) {
    return std::string("epoll for the streams: ") + std::strerror(errno);
  }
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), (name_ + "-streams").c_str());
  return {};
}

bool StreamPump::add(std::unique_ptr<StreamStart> start, UniqueFd& client) {
  if (count_.fetch_add(1) >= kStreamsMax) {
    count_.fetch_sub(1);
    return false;
  }
  auto stream = std::make_unique<Stream>();
  stream->to_client = std::move(start->head);
  if (start->duplex) stream->to_source = std::move(start->from_client);
  stream->start = std::move(start);
  stream->client = std::move(client);
  {
    std::lock_guard lock(mutex_);
    arriving_.push_back(std::move(stream));
  }
  wake();
  return true;
}

void StreamPump::wake() {
  std::uint64_t one = 1;
  if (wake_fd_) [[maybe_unused]]
    ssize_t written = ::write(wake_fd_.get(), &one, sizeof one);
}

bool StreamPump::wait_empty(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, deadline, [this] { return count_.load() == 0; });
}

void StreamPump::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
  {
    std::lock_guard lock(mutex_);
    arriving_.clear();
  }
  streams_.clear();
  count_ = 0;
  emptied_.notify_all();
}

void StreamPump::run() {
  std::array<epoll_event, 128> ready{};
  auto last_round = std::chrono::steady_clock::now();
  while (!stopping_) {
    int n = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()),
                         static_cast<int>(keep_alive_.count() / 2 + 1));
    bool woken = false;
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = ready[static_cast<std::size_t>(i)];
      if (event.data.u64 == 0) {
        woken = true;
      } else {
        on_ready(event.data.u64, event.events);
      }
    }
    if (woken) {
      std::uint64_t ignored = 0;
      [[maybe_unused]] ssize_t got = ::read(wake_fd_.get(), &ignored, sizeof ignored);
      accept_new();
      for (auto& [id, stream] : streams_) {
        if (stream->start->feed == nullptr || stream->source_ended) continue;
        take_feed(*stream);
        if (!stream->to_client.empty() || stream->source_ended) touched_.push_back(id);
      }
    }
    auto now = std::chrono::steady_clock::now();
    if (now - last_round >= keep_alive_ / 2) {
      last_round = now;
      keep_alive_round(now);
    }
    finish_round();
  }
}

void StreamPump::accept_new() {
  std::vector<std::unique_ptr<Stream>> arrived;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(arriving_);
  }
  for (auto& stream : arrived) {
    stream->id = next_id_++;
    stream->last_sent = std::chrono::steady_clock::now();
    make_nonblocking(stream->client.get());
    epoll_event event{};
    event.data.u64 = stream->id * 2;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stream->client.get(), &event) != 0) stream->dead = true;
    if (stream->start->source) {
      make_nonblocking(stream->start->source.get());
      event.data.u64 = stream->id * 2 + 1;
      if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stream->start->source.get(), &event) != 0) stream->dead = true;
    } else if (stream->start->feed == nullptr) {
      stream->source_ended = true;
    }
    touched_.push_back(stream->id);
    streams_.emplace(stream->id, std::move(stream));
  }
}

void StreamPump::on_ready(std::uint64_t token, std::uint32_t events) {
  auto found = streams_.find(token / 2);
  if (found == streams_.end()) return;
  Stream& stream = *found->second;
  bool from_source = token % 2 == 1;
  if (from_source) {
    if ((events & EPOLLOUT) != 0) write_source(stream);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_source(stream);
  } else {
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) stream.dead = true;
    if ((events & EPOLLIN) != 0) read_client(stream);
  }
  touched_.push_back(stream.id);
}

/// A client that does not read must not empty its feed into our memory: the feed has a limit and knows what to do
/// there.
void StreamPump::take_feed(Stream& stream) {
  if (stream.source_ended) return;
  stream.feed_waits = stream.to_client.size() >= kBufferedMax;
  if (!stream.feed_waits && !stream.start->feed->take(stream.to_client)) stream.source_ended = true;
}

void StreamPump::read_source(Stream& stream) {
  std::array<char, kChunkSize> chunk;
  while (!stream.source_ended && stream.to_client.size() < kBufferedMax) {
    ssize_t n = ::read(stream.start->source.get(), chunk.data(), chunk.size());
    if (n < 0 && would_block()) return;
    if (n <= 0) {
      stream.source_ended = true;
      if (stream.start->at_end) stream.start->at_end(stream.to_client);
      return;
    }
    std::string_view bytes(chunk.data(), static_cast<std::size_t>(n));
    if (stream.start->transform) {
      stream.start->transform(bytes, stream.to_client);
    } else {
      stream.to_client += bytes;
    }
  }
}

void StreamPump::read_client(Stream& stream) {
  std::array<char, kChunkSize> chunk;
  while (!stream.client_ended && stream.to_source.size() < kBufferedMax) {
    ssize_t n = ::recv(stream.client.get(), chunk.data(), chunk.size(), 0);
    if (n < 0 && would_block()) return;
    if (n <= 0) {
      stream.client_ended = true;
      // A reader that closes its side has left; an attached one may still want the rest of the output.
      if (!stream.start->duplex || n < 0) stream.dead = true;
      return;
    }
    if (stream.start->duplex) stream.to_source.append(chunk.data(), static_cast<std::size_t>(n));
  }
}

void StreamPump::write_client(Stream& stream) {
  if (stream.to_client.empty()) return;
  std::size_t before = stream.to_client.size();
  if (!send_some(stream.client.get(), stream.to_client)) stream.dead = true;
  if (stream.to_client.size() != before) stream.last_sent = std::chrono::steady_clock::now();
}

void StreamPump::write_source(Stream& stream) {
  if (!stream.start->duplex || stream.source_shut) return;
  if (!stream.to_source.empty() && !send_some(stream.start->source.get(), stream.to_source)) {
    stream.to_source.clear();  // the job no longer reads; its output may still come
    stream.source_shut = true;
  }
  if (stream.client_ended && stream.to_source.empty() && !stream.source_shut) {
    ::shutdown(stream.start->source.get(), SHUT_WR);
    stream.source_shut = true;
  }
}

/// Asks epoll for exactly what this stream can go on with, so that no level-triggered event spins.
void StreamPump::refresh(Stream& stream) {
  std::uint32_t client_mask = 0;
  if (!stream.client_ended && stream.to_source.size() < kBufferedMax) client_mask |= EPOLLIN;
  if (!stream.to_client.empty()) client_mask |= EPOLLOUT;
  std::uint32_t source_mask = 0;
  if (!stream.source_ended && stream.to_client.size() < kBufferedMax) source_mask |= EPOLLIN;
  if (!stream.to_source.empty() && !stream.source_shut) source_mask |= EPOLLOUT;

  epoll_event event{};
  if (client_mask != stream.client_mask) {
    event.events = stream.client_mask = client_mask;
    event.data.u64 = stream.id * 2;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, stream.client.get(), &event);
  }
  if (!stream.start->source || source_mask == stream.source_mask) return;
  if (stream.source_ended) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, stream.start->source.get(), nullptr);
    return;
  }
  event.events = stream.source_mask = source_mask;
  event.data.u64 = stream.id * 2 + 1;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, stream.start->source.get(), &event);
}

void StreamPump::finish_round() {
  std::vector<std::uint64_t> touched;
  touched.swap(touched_);
  for (std::uint64_t id : touched) {
    auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    Stream& stream = *found->second;
    if (!stream.dead) write_client(stream);
    if (!stream.dead && stream.feed_waits) take_feed(stream);  // nobody wakes us for what was left there
    if (!stream.dead) write_source(stream);
    if (!stream.ending()) {
      refresh(stream);
      continue;
    }
    ::shutdown(stream.client.get(), SHUT_RDWR);
    streams_.erase(found);
    std::lock_guard lock(mutex_);
    count_.fetch_sub(1);
    emptied_.notify_all();
  }
}

void StreamPump::keep_alive_round(std::chrono::steady_clock::time_point now) {
  for (auto& [id, stream] : streams_) {
    if (!stream->start->keep_alive || now - stream->last_sent < keep_alive_ || !stream->to_client.empty()) continue;
    stream->to_client += kSseKeepAlive;
    touched_.push_back(id);
  }
}

}  // namespace flynn::http
