#include "work_queue.h"

#include <pthread.h>

namespace flynn::host {

void WorkQueue::start(unsigned threads, const std::string& name) {
  stopping_ = false;
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
    ::pthread_setname_np(threads_.back().native_handle(), (name + std::to_string(i)).c_str());
  }
}

void WorkQueue::post(const std::string& key, Task task) {
  std::lock_guard lock(mutex_);
  if (stopping_ || !gate_.is_open()) return;
  auto [entry, fresh] = waiting_.try_emplace(key);
  entry->second.push_back(std::move(task));
  if (!fresh) return;
  ready_.push_back(key);
  ready_changed_.notify_one();
}

void WorkQueue::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ready_changed_.wait(lock, [this] { return stopping_ || !ready_.empty(); });
    if (stopping_) return;
    run_next(lock);
  }
}

void WorkQueue::run_next(std::unique_lock<std::mutex>& lock) {
  const auto key = std::move(ready_.front());
  ready_.pop_front();
  // Given back under the lock, with the books in order: drop() may follow at once.
  const auto pass = gate_.enter();
  if (!pass) {
    waiting_.erase(key);
    return;
  }
  auto task = std::move(waiting_[key].front());
  waiting_[key].pop_front();
  lock.unlock();
  task();
  task = nullptr;
  lock.lock();
  auto entry = waiting_.find(key);
  if (entry->second.empty()) {
    waiting_.erase(entry);
  } else {
    ready_.push_back(key);
    ready_changed_.notify_one();
  }
}

void WorkQueue::drop() {
  std::lock_guard lock(mutex_);
  waiting_.clear();
  ready_.clear();
}

void WorkQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_changed_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  waiting_.clear();
  ready_.clear();
}

}  // namespace flynn::host
