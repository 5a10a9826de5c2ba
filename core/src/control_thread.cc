#include "control_thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "crash_note.h"
#include "thread_tag.h"

namespace flynn::core {
namespace {

// Waking a thread that sleeps costs about as much as the lifecycle functions of an idle plugin.
constexpr std::chrono::microseconds kLookOut{300};
// So long the core is not even lent to others: what the functions have woken may work for a millisecond. Then it is, in
// case the thread itself waits for this core.
constexpr std::chrono::microseconds kHold{100};
// A function that was given up may be about to return: one that a busy machine was slow with is no reason to refuse the
// next, which is often the way back (quiesce, then stop).
constexpr std::chrono::seconds kLastChance{1};
// A step that takes longer is told of.
constexpr std::chrono::milliseconds kLong{20};

}  // namespace

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

bool ControlThread::stuck() const { return state_->busy; }

void ControlThread::signal(int number) { ::pthread_kill(thread_.native_handle(), number); }

void ControlThread::run_steps(State& state, std::unique_lock<std::mutex>& lock) {
  const auto steps = std::exchange(state.steps, {});
  for (const auto& step : steps) {
    if (state.given_up) break;
    state.step_began = Clock::now();
    state.ms.push_back(0);
    lock.unlock();
    auto result = step.body();
    lock.lock();
    state.ms.back() = std::chrono::duration<double, std::milli>(Clock::now() - state.step_began).count();
    state.result = std::move(result);
    if (!state.result) break;
  }
}

void ControlThread::serve(const std::shared_ptr<State>& state) {
  const CrashStack crash_stack;
  std::unique_lock lock(state->mutex);
  while (true) {
    state->changed.wait(lock, [&] { return state->ending || !state->steps.empty(); });
    if (state->steps.empty()) return;
    run_steps(*state, lock);
    state->busy = false;
    state->changed.notify_all();
  }
}

Result<void> ControlThread::run(std::function<Result<void>()> function, Deadline deadline) {
  std::unique_lock lock(state_->mutex);
  const auto patience = std::min<std::chrono::nanoseconds>(deadline.left(), kLastChance);
  if (!state_->changed.wait_for(lock, patience, [&] { return !state_->busy; }))
    return Error{Code::unavailable, "an earlier lifecycle function has not returned yet"};
  state_->steps.push_back({"", std::move(function), {}});
  state_->busy = true;
  state_->given_up = false;
  state_->ms.clear();
  state_->changed.notify_all();
  const bool done = state_->changed.wait_for(lock, deadline.left(), [&] { return !state_->busy; });
  if (!done) return Error{Code::deadline_exceeded, "it did not return in time"};
  return std::move(state_->result);
}

ControlOutcome ControlThread::run_row(std::vector<ControlStep> steps,
                                      const std::function<void(std::size_t step)>& begun) {
  std::vector<std::chrono::nanoseconds> limits;
  for (const auto& step : steps) limits.push_back(step.limit);
  std::unique_lock lock(state_->mutex);
  if (state_->busy) return {{}, Error{Code::unavailable, "an earlier lifecycle function has not returned yet"}};
  state_->steps = std::move(steps);
  state_->ms.clear();
  state_->busy = true;
  state_->given_up = false;
  const auto start = state_->step_began = Clock::now();
  lock.unlock();
  state_->changed.notify_all();
  while (state_->busy && Clock::now() - start < kLookOut)
    if (Clock::now() - start > kHold) ::sched_yield();
  lock.lock();
  std::size_t told = 0;
  while (!state_->changed.wait_for(lock, kLong, [&] { return !state_->busy; })) {
    const std::size_t step = state_->ms.empty() ? 0 : state_->ms.size() - 1;
    if (Clock::now() - state_->step_began >= limits[step]) {
      state_->given_up = true;
      return {state_->ms, Error{Code::deadline_exceeded, "it did not return in time"}};
    }
    if (told > step) continue;
    told = step + 1;
    lock.unlock();
    if (begun) begun(step);
    lock.lock();
  }
  return {state_->ms, std::move(state_->result)};
}

}  // namespace flynn::core
