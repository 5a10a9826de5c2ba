#include "slot.h"

#include <ctime>

namespace flynn::core {
namespace {

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000ULL + static_cast<std::uint64_t>(now.tv_nsec);
}

std::string_view view(flynn_bytes bytes) {
  return bytes.size == 0 ? std::string_view() : std::string_view(bytes.data, bytes.size);
}

flynn_status refuse(flynn_reply* reply, Code code, const std::string& message) {
  reply->set_error(reply, static_cast<flynn_status>(code), flynn_bytes{message.data(), message.size()},
                   flynn_bytes{nullptr, 0});
  return static_cast<flynn_status>(code);
}

}  // namespace

flynn_status Slot::pass(const flynn_call& call, flynn_reply* reply) {
  while (true) {
    {
      const HazardGuard<Generation> guard(current_);
      if (guard.get() != nullptr) {
        const auto start = now_ns();
        const flynn_status status = guard.get()->handle(&call, reply);
        counters_.count(view(call.interface), view(call.method), now_ns() - start, status != FLYNN_OK);
        return status;
      }
    }
    if (!parked_.load(std::memory_order_acquire)) {
      // unpark() sets the generation first: look once more before saying that nobody is there.
      if (current_.load(std::memory_order_acquire) != nullptr) continue;
      return refuse(reply, Code::unavailable, name_ + " is not running (flynn plugin list says why)");
    }
    if (!wait_while_parked(Deadline{call.deadline_ns}))
      return refuse(reply, Code::deadline_exceeded, name_ + " was being replaced for longer than this call could wait");
  }
}

bool Slot::wait_while_parked(Deadline deadline) {
  std::unique_lock lock(parking_);
  return unparked_.wait_for(lock, deadline.left(), [this] { return !parked_.load(std::memory_order_acquire); });
}

std::unique_ptr<Generation> Slot::set_current(std::unique_ptr<Generation> next) {
  auto old = std::move(owned_);
  owned_ = std::move(next);
  current_.store(owned_.get(), std::memory_order_release);
  return old;
}

void Slot::park() { parked_.store(true, std::memory_order_release); }

void Slot::hide_current() { current_.store(nullptr, std::memory_order_release); }

void Slot::restore_current() { current_.store(owned_.get(), std::memory_order_release); }

void Slot::unpark() {
  {
    const std::lock_guard lock(parking_);
    parked_.store(false, std::memory_order_release);
  }
  unparked_.notify_all();
}

}  // namespace flynn::core
