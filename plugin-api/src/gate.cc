#include "flynn/sdk/gate.h"

namespace flynn {

Gate::Pass::~Pass() {
  if (gate_ == nullptr) return;
  // Told under the lock: who waits may destroy the gate as soon as it is empty.
  const std::lock_guard lock(gate_->mutex_);
  if (--gate_->inside_ == 0) gate_->left_.notify_all();
}

Gate::Pass Gate::enter() {
  const std::lock_guard lock(mutex_);
  if (!open_) return Pass(nullptr);
  ++inside_;
  return Pass(this);
}

void Gate::open() {
  const std::lock_guard lock(mutex_);
  open_ = true;
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  open_ = false;
}

bool Gate::is_open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

bool Gate::wait_empty(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return left_.wait_for(lock, deadline.left(), [this] { return inside_ == 0; });
}

}  // namespace flynn
