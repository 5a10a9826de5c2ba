#include "watch_loop.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <vector>

namespace flynn::host {

WatchLoop::WatchLoop() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void WatchLoop::start() {
  worker_.start("host-watch", [this](const StopSignal& stop) { run(stop); });
}

void WatchLoop::stop() {
  worker_.stop();
  clear();
}

void WatchLoop::clear() {
  std::lock_guard lock(mutex_);
  processes_.clear();
  timers_.clear();
}

void WatchLoop::wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void WatchLoop::watch_process(const std::string& key, UniqueFd pidfd, Callback on_end) {
  {
    std::lock_guard lock(mutex_);
    processes_[key] = Process{std::move(pidfd), std::move(on_end)};
  }
  wake();
}

void WatchLoop::set_timer(const std::string& key, const std::string& name, std::chrono::milliseconds after,
                          Callback on_time) {
  {
    std::lock_guard lock(mutex_);
    timers_[{key, name}] = Timer{Clock::now() + after, std::move(on_time)};
  }
  wake();
}

void WatchLoop::forget(const std::string& key) {
  std::lock_guard lock(mutex_);
  processes_.erase(key);
  timers_.erase(timers_.lower_bound({key, ""}), timers_.lower_bound({key + '\0', ""}));
}

int WatchLoop::next_timeout_ms() {
  std::lock_guard lock(mutex_);
  if (timers_.empty()) return -1;
  const auto first = std::min_element(timers_.begin(), timers_.end(),
                                      [](const auto& a, const auto& b) { return a.second.at < b.second.at; });
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(first->second.at - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

void WatchLoop::run_timers() {
  std::vector<Callback> due;
  {
    std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    for (auto timer = timers_.begin(); timer != timers_.end();) {
      if (timer->second.at > now) {
        ++timer;
        continue;
      }
      due.push_back(std::move(timer->second.on_time));
      timer = timers_.erase(timer);
    }
  }
  for (const auto& callback : due) callback();
}

void WatchLoop::take_ended(int fd) {
  Callback callback;
  {
    std::lock_guard lock(mutex_);
    const auto process = std::find_if(processes_.begin(), processes_.end(),
                                      [fd](const auto& entry) { return entry.second.pidfd.get() == fd; });
    if (process == processes_.end()) return;
    // The number may meanwhile belong to another process that was just added: only what has really ended.
    pollfd entry{fd, POLLIN, 0};
    if (::poll(&entry, 1, 0) != 1) return;
    callback = std::move(process->second.on_end);
    processes_.erase(process);
  }
  callback();
}

void WatchLoop::run(const StopSignal& stop) {
  while (!stop.asked()) {
    std::vector<pollfd> entries{{stop.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    {
      std::lock_guard lock(mutex_);
      for (const auto& [key, process] : processes_) entries.push_back({process.pidfd.get(), POLLIN, 0});
    }
    if (::poll(entries.data(), entries.size(), next_timeout_ms()) < 0) continue;
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
    for (std::size_t i = 2; i < entries.size(); ++i) {
      if (entries[i].revents != 0) take_ended(entries[i].fd);
    }
    run_timers();
  }
}

}  // namespace flynn::host
