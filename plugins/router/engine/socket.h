// A non-blocking socket under edge-triggered events, and the bytes that it could not take yet.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace flynn::router {

/// Room for the largest thing that waits: a rewritten head and one full read.
constexpr std::size_t kBlockBytes = 144 * 1024;
constexpr std::size_t kBlocksKeptMax = 32;

struct Block {
  Block* next;
  std::size_t begin, end;
  char data[kBlockBytes];
};

/// The blocks of one thread. Untouched pages of a block cost nothing. Thread: [loop].
class BlockPool {
 public:
  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  Block* take();
  void give_back(Block* block);

 private:
  Block* free_ = nullptr;
  std::size_t kept_ = 0;
};

/// Bytes kept for later. Holds a block only while it holds bytes. Its owner calls clear() before it goes.
class Spill {
 public:
  [[nodiscard]] bool empty() const { return block_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return block_ == nullptr ? 0 : block_->end - block_->begin; }
  [[nodiscard]] std::string_view view() const;
  [[nodiscard]] char* data() { return block_->data + block_->begin; }
  /// False if it does not fit (a caller's bug: the limits forbid it).
  bool append(BlockPool& pool, std::string_view bytes);
  /// Free room at the end, at least `wanted` bytes if the block can offer them. grow() says how many were written.
  char* room(BlockPool& pool, std::size_t wanted, std::size_t& available);
  void grow(BlockPool& pool, std::size_t bytes);
  void consume(BlockPool& pool, std::size_t bytes);
  void clear(BlockPool& pool);

 private:
  Block* block_ = nullptr;
};

enum class Received : std::uint8_t { kBytes, kNothing, kEnd, kFailed };

/// What is known of a socket between events. `readable` stays set until a read came back short.
struct Socket {
  int fd = -1;
  bool readable = false;
  bool writable = true;
  bool peer_closed = false;  // the peer will send nothing more
  bool broken = false;       // reset, or closed in both directions
  Spill out;

  void note(std::uint32_t epoll_events);
  Received receive(char* buffer, std::size_t capacity, std::size_t& size);
  /// Sends the parts in order and keeps what does not go. False when the connection is gone.
  bool send(BlockPool& pool, std::initializer_list<std::string_view> parts);
  /// Sends what was kept. False when the connection is gone.
  bool flush(BlockPool& pool);
  /// There are bytes that the peer has not acknowledged.
  [[nodiscard]] bool has_unsent() const;
  void close(BlockPool& pool);
  /// The close that follows is a reset, so that the peer can't take a part for the whole.
  void reset_on_close() const;
};

}  // namespace flynn::router
