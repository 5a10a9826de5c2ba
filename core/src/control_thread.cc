#include "control_thread.h"

#include <pthread.h>

#include <chrono>

#include "crash_note.h"
#include "thread_tag.h"

namespace flynn::core {

ControlThread::ControlThread(const std::string& name, std::uint32_t tag)
    : state_(std::make_shared<State>()), thread_([state = state_, tag] {
        tag_this_thread(tag);
        serve(state);
      }) {
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ControlThread::~ControlThread() {
  bool hangs = false;
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
    hangs = state_->busy;
  }
  state_->changed.notify_all();
  if (hangs)
    thread_.detach();  // style: allow (a plugin's function never came back; joining it would hang the host as well)
  else
    thread_.join();
}

bool ControlThread::stuck() const {
  const std::lock_guard lock(state_->mutex);
  return state_->busy;
}

void ControlThread::serve(const std::shared_ptr<State>& state) {
  const CrashStack crash_stack;
  std::unique_lock lock(state->mutex);
  while (true) {
    state->changed.wait(lock, [&] { return state->ending || (state->busy && state->task); });
    if (!state->task) return;
    const auto task = std::exchange(state->task, nullptr);
    lock.unlock();
    auto result = task();
    lock.lock();
    state->result = std::move(result);
    state->busy = false;
    state->changed.notify_all();
  }
}

Result<void> ControlThread::run(std::function<Result<void>()> function, Deadline deadline) {
  std::unique_lock lock(state_->mutex);
  if (state_->busy) return Error{Code::unavailable, "an earlier lifecycle function has not returned yet"};
  state_->task = std::move(function);
  state_->busy = true;
  state_->changed.notify_all();
  const bool done = state_->changed.wait_for(lock, deadline.left(), [&] { return !state_->busy; });
  if (!done) return Error{Code::deadline_exceeded, "it did not return in time"};
  return std::move(state_->result);
}

}  // namespace flynn::core
