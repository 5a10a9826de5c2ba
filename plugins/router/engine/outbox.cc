#include "engine/outbox.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace flynn::router {

void Outbox::open(std::size_t loops) {
  const std::lock_guard lock(mutex_);
  reports_.assign(loops, {});
  descriptors_ = bytes_ = 0;
  full_ = false;
  open_ = true;
}

std::size_t Outbox::left() const {
  std::size_t sum = 0;
  for (const auto& report : reports_) sum += report.left;
  return sum;
}

Outbox::Batch Outbox::take(std::uint64_t deadline_ns, Until until) {
  std::unique_lock lock(mutex_);
  const auto done = [&] {
    if (full_) return true;
    if (!std::all_of(reports_.begin(), reports_.end(), [](const Report& report) { return report.made; })) return false;
    return !given_.empty() || (until == Until::kNoneLeft && left() == 0);
  };
  if (deadline_ns == 0)
    changed_.wait(lock, done);
  else
    changed_.wait_until(lock, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline_ns)), done);
  open_ = false;
  Batch batch{std::exchange(given_, {}), left()};
  // A loop that has not been heard yet (it is busy, or the batch was full before) has at least something.
  for (const auto& report : reports_)
    if (!report.made) ++batch.left;
  return batch;
}

bool Outbox::put(std::size_t descriptors, const std::function<MovingConnection()>& let_go) {
  const std::lock_guard lock(mutex_);
  if (!open_ || full_) return false;
  if (descriptors_ + descriptors > kDescriptorsMax || bytes_ >= kBytesEnough) {
    full_ = true;
    changed_.notify_all();
    return false;
  }
  given_.push_back(let_go());
  descriptors_ += descriptors;
  bytes_ += given_.back().bytes();
  changed_.notify_all();
  return true;
}

void Outbox::report(std::size_t loop, std::size_t left) {
  const std::lock_guard lock(mutex_);
  if (!open_) return;
  reports_[loop] = {true, left};
  changed_.notify_all();
}

}  // namespace flynn::router
