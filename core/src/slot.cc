#include "slot.h"

#include <ctime>
#include <utility>

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

// Multiples of the golden ratio: every stretch of calls has the share, and no pattern of the callers falls in with it.
bool Slot::is_canarys_turn() {
  const auto turn = canary_turn_.fetch_add(1, std::memory_order_relaxed);
  const auto place = (turn * 0x9E3779B97F4A7C15ULL) >> 32;
  return place < (std::uint64_t{canary_permille_.load(std::memory_order_relaxed)} << 32) / 1000;
}

flynn_status Slot::pass(const flynn_call& call, flynn_reply* reply) {
  const std::atomic<Generation*>* place = &current_;
  if (canary_permille_.load(std::memory_order_relaxed) != 0 && is_canarys_turn()) place = &canary_;
  while (true) {
    {
      const HazardGuard<Generation> guard(*place);
      if (guard.get() != nullptr) {
        const auto start = now_ns();
        const flynn_status status = guard.get()->handle(&call, reply);
        const auto took = now_ns() - start;
        counters_.count(view(call.interface), view(call.method), took, status != FLYNN_OK);
        guard.get()->calls().count(took, status);
        return status;
      }
    }
    if (std::exchange(place, &current_) == &canary_) continue;  // it went this very moment
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

void Slot::set_canary(Generation& canary, unsigned share_permille) {
  canary_.store(&canary, std::memory_order_release);
  canary_permille_.store(share_permille, std::memory_order_release);
}

void Slot::end_canary() {
  canary_permille_.store(0, std::memory_order_release);
  canary_.store(nullptr, std::memory_order_release);
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
