#include "flynn/sdk/worker.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <exception>
#include <stdexcept>

namespace flynn {

StopSignal::StopSignal() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw std::runtime_error("eventfd: no descriptor left");
}

void StopSignal::ask() {
  const std::uint64_t one = 1;
  // EAGAIN means the counter is full, so it is readable already.
  [[maybe_unused]] const auto written = ::write(event_.get(), &one, sizeof one);
}

void StopSignal::clear() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(event_.get(), &count, sizeof count);
}

bool StopSignal::asked() const { return wait(0); }

bool StopSignal::wait(int timeout_ms) const {
  pollfd entry{event_.get(), POLLIN, 0};
  return ::poll(&entry, 1, timeout_ms) > 0;
}

void Worker::start(const std::string& name, std::function<void(const StopSignal&)> body) {
  stop();
  signal_.clear();
  error_.clear();
  thread_ = std::thread([this, body = std::move(body)] {
    try {
      body(signal_);
    } catch (const std::exception& failure) {
      error_ = failure.what();
    } catch (...) {
      error_ = "unknown exception";
    }
  });
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  signal_.ask();
  thread_.join();
}

}  // namespace flynn
