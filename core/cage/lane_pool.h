// LanePool: the lanes that one side calls the other by. Each carries one call at a time, so there is nothing to sort.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "frame.h"

namespace flynn::core {

/// Calls of one side that may be on their way at once.
inline constexpr std::size_t kLanesMax = 64;

/// Thread: [any].
class LanePool {
 public:
  /// `hand_out` gives the other end of a new lane to the other side.
  explicit LanePool(std::function<Result<void>(Lane other_end)> hand_out) : hand_out_(std::move(hand_out)) {}

  /// One request and its answer. `use` sees the answer before the lane may serve another call. unavailable once
  /// closed or when the other side goes meanwhile; resource_exhausted when no lane gets free before the deadline.
  Result<void> exchange(const Frame& request, Deadline deadline, const std::function<void(Received&)>& use);
  /// Every call that is on its way ends with unavailable, and so does every later one.
  void close();

 private:
  Result<std::unique_ptr<Lane>> take(Deadline deadline);
  void give_back(std::unique_ptr<Lane> lane, bool whole);

  std::function<Result<void>(Lane)> hand_out_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Lane>> idle_;
  std::set<int> all_;  // descriptors of all lanes; each is erased before it is closed
  std::size_t count_ = 0;
  bool closed_ = false;
};

}  // namespace flynn::core
