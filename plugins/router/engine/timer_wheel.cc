#include "engine/timer_wheel.h"

#include <algorithm>

namespace flynn::router {

TimerWheel::TimerWheel() {
  for (auto& slot : slots_) slot.previous_ = slot.next_ = &slot;
}

void TimerWheel::arm(TimerNode& node, std::uint32_t after_ms) {
  // One tick more: the current one has partly passed.
  node.deadline_ = now_ + (after_ms + kTickMs - 1) / kTickMs + 1;
  if (node.next_ != nullptr) {
    if (node.deadline_ >= node.visited_) return;
    unlink(node);
  }
  link(node);
}

void TimerWheel::disarm(TimerNode& node) {
  if (node.next_ != nullptr) unlink(node);
}

void TimerWheel::link(TimerNode& node) {
  node.visited_ = std::min(node.deadline_, now_ + kSlots - 1);
  auto& slot = slots_[node.visited_ % kSlots];
  node.previous_ = slot.previous_;
  node.next_ = &slot;
  slot.previous_->next_ = &node;
  slot.previous_ = &node;
}

void TimerWheel::unlink(TimerNode& node) {
  node.previous_->next_ = node.next_;
  node.next_->previous_ = node.previous_;
  node.previous_ = node.next_ = nullptr;
}

void TimerWheel::tick() {
  ++now_;
  auto& slot = slots_[now_ % kSlots];
  // What is armed while this runs goes to a later slot, so the loop ends.
  while (slot.next_ != &slot) {
    TimerNode& node = *slot.next_;
    unlink(node);
    if (node.deadline_ > now_)
      link(node);
    else
      node.on_timer();
  }
}

}  // namespace flynn::router
