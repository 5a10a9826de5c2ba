// Connections move between two data planes.
#include <algorithm>
#include <utility>

#include "engine/data_plane.h"
#include "engine/loop_thread.h"

namespace flynn::router {

Outbox::Batch DataPlane::hand_over(unsigned share_permille, std::uint64_t deadline_ns) {
  if (share_permille == 0 || threads_.empty()) {
    for (auto& thread : threads_) thread->stop_giving();
    return {};
  }
  outbox_.open(threads_.size());
  for (std::size_t i = 0; i < threads_.size(); ++i) threads_[i]->give(share_permille, outbox_, i);
  return outbox_.take(deadline_ns,
                      share_permille >= HandOver::kAll ? Outbox::Until::kNoneLeft : Outbox::Until::kDeadline);
}

// Each to the loop that has the fewest.
std::vector<std::vector<MovingConnection>> DataPlane::spread(std::vector<MovingConnection> moving) const {
  std::vector<std::vector<MovingConnection>> parts(threads_.size());
  std::vector<std::uint64_t> open;
  for (const auto& thread : threads_) open.push_back(thread->counters().connections.get());
  for (auto& one : moving) {
    const auto least = std::min_element(open.begin(), open.end());
    ++*least;
    parts[static_cast<std::size_t>(least - open.begin())].push_back(std::move(one));
  }
  return parts;
}

std::string DataPlane::take_over(std::vector<MovingConnection> moving, const std::string& port) {
  if (moving.empty()) return {};
  if (threads_.empty()) return "the data plane has not been started";
  if (port_.empty()) port_ = port;
  auto parts = spread(std::move(moving));
  std::size_t asked = 0;
  bool fits = true;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (parts[i].empty()) continue;
    {
      const std::lock_guard lock(mutex_);
      ++asked;
    }
    threads_[i]->adopt(std::make_shared<std::vector<MovingConnection>>(std::move(parts[i])), port, [&](bool all) {
      const std::lock_guard lock(mutex_);
      fits = fits && all;
      --asked;
      changed_.notify_all();
    });
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked == 0; });
  }
  for (auto& thread : threads_) thread->settle_adopted(fits);
  return fits ? "" : "no room for the connections: the limit of connections or of descriptors is reached";
}

}  // namespace flynn::router
