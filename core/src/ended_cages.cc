#include "ended_cages.h"

#include <utility>

namespace flynn::core {

void EndedCages::start(Revive revive) {
  revive_ = std::move(revive);
  {
    const std::lock_guard lock(mutex_);
    open_ = true;
  }
  worker_.start("cage-revive", [this](const StopSignal& stop) { run(stop); });
}

void EndedCages::stop() {
  {
    const std::lock_guard lock(mutex_);
    open_ = false;
    ended_.clear();
  }
  added_.notify_all();
  worker_.stop();
}

void EndedCages::add(EndedCage ended) {
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return;
    ended_.push_back(std::move(ended));
  }
  added_.notify_one();
}

void EndedCages::run(const StopSignal&) {
  std::unique_lock lock(mutex_);
  while (true) {
    added_.wait(lock, [this] { return !open_ || !ended_.empty(); });
    if (!open_) return;
    const auto ended = std::move(ended_.front());
    ended_.pop_front();
    lock.unlock();
    revive_(ended);
    lock.lock();
  }
}

}  // namespace flynn::core
