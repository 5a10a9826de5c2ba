#include "lane_pool.h"

#include <sys/socket.h>

namespace flynn::core {

Result<std::unique_ptr<Lane>> LanePool::take(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto may_go_on = [&] { return closed_ || !idle_.empty() || count_ < kLanesMax; };
  if (!freed_.wait_for(lock, deadline.left(), may_go_on))
    return Error{Code::resource_exhausted,
                 "all " + std::to_string(kLanesMax) + " ways into or out of the cage are busy: try again"};
  if (closed_) return Error{Code::unavailable, "the cage has ended"};
  if (!idle_.empty()) {
    auto lane = std::move(idle_.back());
    idle_.pop_back();
    return lane;
  }
  auto ends = make_lane();
  if (!ends) return ends.error();
  if (auto handed = hand_out_(std::move(ends->second)); !handed) return handed.error();
  ++count_;
  all_.insert(ends->first.fd());
  return std::make_unique<Lane>(std::move(ends->first));
}

void LanePool::give_back(std::unique_ptr<Lane> lane, bool whole) {
  {
    const std::lock_guard lock(mutex_);
    if (whole && !closed_) {
      idle_.push_back(std::move(lane));
    } else {
      all_.erase(lane->fd());
      --count_;
    }
  }
  freed_.notify_one();
}

Result<void> LanePool::exchange(const Frame& request, Deadline deadline, const std::function<void(Received&)>& use) {
  auto lane = take(deadline);
  if (!lane) return lane.error();
  if (auto sent = (*lane)->send(request, deadline); !sent) {
    give_back(std::move(*lane), sent.error().code == Code::resource_exhausted);
    return sent;
  }
  auto answer = (*lane)->receive(deadline);
  if (answer && answer->frame.kind == FrameKind::reply) {
    use(*answer);
    give_back(std::move(*lane), true);
    return {};
  }
  give_back(std::move(*lane), false);
  if (!answer) return answer.error();
  return Error{Code::internal, "what came back is no answer"};
}

void LanePool::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const int fd : all_) ::shutdown(fd, SHUT_RDWR);
    for (const auto& lane : idle_) all_.erase(lane->fd());
    idle_.clear();
  }
  freed_.notify_all();
}

}  // namespace flynn::core
