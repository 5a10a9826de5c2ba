#include "engine/socket.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace flynn::router {

BlockPool::~BlockPool() {
  while (free_ != nullptr) delete std::exchange(free_, free_->next);
}

Block* BlockPool::take() {
  Block* block = free_;
  if (block != nullptr) {
    free_ = block->next;
    --kept_;
  } else {
    block = new Block;  // not value-initialised: the pages stay untouched
  }
  block->begin = block->end = 0;
  return block;
}

void BlockPool::give_back(Block* block) {
  if (kept_ >= kBlocksKeptMax) {
    delete block;
    return;
  }
  block->next = free_;
  free_ = block;
  ++kept_;
}

std::string_view Spill::view() const {
  return block_ == nullptr ? std::string_view{} : std::string_view{block_->data + block_->begin, size()};
}

char* Spill::room(BlockPool& pool, std::size_t wanted, std::size_t& available) {
  if (block_ == nullptr) block_ = pool.take();
  if (kBlockBytes - block_->end < wanted && block_->begin > 0) {
    std::memmove(block_->data, block_->data + block_->begin, size());
    block_->end -= block_->begin;
    block_->begin = 0;
  }
  available = kBlockBytes - block_->end;
  return block_->data + block_->end;
}

void Spill::grow(BlockPool& pool, std::size_t bytes) {
  block_->end += bytes;
  if (block_->begin == block_->end) clear(pool);
}

bool Spill::append(BlockPool& pool, std::string_view bytes) {
  if (bytes.empty()) return true;
  std::size_t available = 0;
  char* at = room(pool, bytes.size(), available);
  if (available < bytes.size()) return false;
  std::memcpy(at, bytes.data(), bytes.size());
  block_->end += bytes.size();
  return true;
}

void Spill::consume(BlockPool& pool, std::size_t bytes) {
  if (block_ == nullptr) return;
  block_->begin += bytes;
  if (block_->begin >= block_->end) clear(pool);
}

void Spill::clear(BlockPool& pool) {
  if (block_ != nullptr) pool.give_back(std::exchange(block_, nullptr));
}

void Socket::note(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable = true;
  if ((events & EPOLLOUT) != 0) writable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) peer_closed = true;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) broken = true;
}

Received Socket::receive(char* buffer, std::size_t capacity, std::size_t& size) {
  ssize_t got = 0;
  do {
    got = ::recv(fd, buffer, capacity, 0);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    size = static_cast<std::size_t>(got);
    // A short read has emptied the socket, and the next byte is a new edge. The end of the stream is not: its edge may
    // have come together with these bytes.
    if (size < capacity && !peer_closed) readable = false;
    return Received::kBytes;
  }
  size = 0;
  if (got == 0) {
    peer_closed = true;
    readable = false;
    return Received::kEnd;
  }
  readable = false;
  return errno == EAGAIN ? Received::kNothing : Received::kFailed;
}

bool Socket::send(BlockPool& pool, std::initializer_list<std::string_view> parts) {
  std::size_t sent = 0;
  if (writable && out.empty()) {
    std::array<iovec, 6> vectors{};
    std::size_t count = 0, total = 0;
    for (const auto part : parts) {
      if (part.empty()) continue;
      vectors[count++] = {const_cast<char*>(part.data()), part.size()};
      total += part.size();
    }
    if (count == 0) return true;
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    ssize_t put = 0;
    do {
      put = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    if (put < 0 && errno != EAGAIN) return false;
    sent = put < 0 ? 0 : static_cast<std::size_t>(put);
    if (sent == total) return true;
    writable = false;
  }
  for (const auto part : parts) {
    const auto skip = std::min(sent, part.size());
    sent -= skip;
    if (!out.append(pool, part.substr(skip))) return false;
  }
  return true;
}

bool Socket::flush(BlockPool& pool) {
  while (writable && !out.empty()) {
    const auto bytes = out.view();
    const auto put = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return false;
      writable = false;
      return true;
    }
    if (static_cast<std::size_t>(put) < bytes.size()) writable = false;
    out.consume(pool, static_cast<std::size_t>(put));
  }
  return true;
}

bool Socket::has_unsent() const {
  int queued = 0;
  return !out.empty() || (::ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0);
}

void Socket::close(BlockPool& pool) {
  if (fd >= 0) ::close(fd);
  fd = -1;
  out.clear(pool);
}

void Socket::reset_on_close() const {
  const linger now{1, 0};
  if (fd >= 0) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace flynn::router
