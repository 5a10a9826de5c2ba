#include "task_queue.h"

namespace flynn::controller {

void TaskQueue::add(std::string what, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.emplace_back(std::move(what), std::move(task));
  }
  came_.notify_one();
}

void TaskQueue::start() {
  if (worker_.running()) return;
  worker_.start("ctl-tasks", [this](const StopSignal& stop) { run(stop); });
}

void TaskQueue::drop() {
  std::lock_guard lock(mutex_);
  tasks_.clear();
}

void TaskQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    worker_.ask_stop();
    tasks_.clear();
  }
  came_.notify_all();
  worker_.stop();
}

void TaskQueue::run(const StopSignal& stop) {
  while (true) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return stop.asked() || !tasks_.empty(); });
    if (stop.asked()) return;
    auto next = std::move(tasks_.front());
    tasks_.pop_front();
    const auto pass = gate_.enter();  // under the lock: what drop() did not see has been refused
    lock.unlock();
    if (!pass) continue;
    try {
      next.second();
    } catch (const std::exception& e) {
      log_.error("task_failed", {{"task", next.first}, {"error", e.what()}});
    }
  }
}

}  // namespace flynn::controller
