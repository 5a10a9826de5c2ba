// Where the loops put what moves away, while somebody waits for it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "engine/moving_connection.h"

namespace flynn::router {

/// Open only during one take(): what is in it is served by nobody, so nothing may lie here between two. Outside of a
/// hand-over no loop comes near its lock.
/// Thread: open and take [control]; put and report [loop].
class Outbox {
 public:
  static constexpr std::size_t kDescriptorsMax = 128;      // of one batch
  static constexpr std::size_t kBytesEnough = 256 * 1024;  // of buffers: nothing is added to a batch that has more

  enum class Until : std::uint8_t { kNoneLeft, kDeadline };
  struct Batch {
    std::vector<MovingConnection> connections;
    std::size_t left = 0;  // those that may still move
  };

  void open(std::size_t loops);
  /// Waits until every loop has looked and there is something, or until nothing may come any more (kNoneLeft), or for
  /// the deadline (CLOCK_MONOTONIC, ns; 0: none). Closes.
  Batch take(std::uint64_t deadline_ns, Until until);

  /// Calls `let_go` and keeps its connection, if open and with room for so many descriptors; false otherwise: the
  /// loop's window is over.
  bool put(std::size_t descriptors, const std::function<MovingConnection()>& let_go);
  /// Loop number `loop` has looked at all of its connections, and `left` of them may still move.
  void report(std::size_t loop, std::size_t left);

 private:
  [[nodiscard]] std::size_t left() const;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false, full_ = false;
  std::vector<MovingConnection> given_;
  std::size_t descriptors_ = 0, bytes_ = 0;
  struct Report {
    bool made = false;
    std::size_t left = 0;
  };
  std::vector<Report> reports_;  // of each loop
};

}  // namespace flynn::router
