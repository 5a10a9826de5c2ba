#include "event_hub.h"

#include <algorithm>

#include "document.h"

namespace flynn::controller {

void EventSubscription::skip_until(std::int64_t id) {
  std::lock_guard lock(mutex_);
  // Not after_id_: that is what was last offered, which may be newer than the backlog and is still to be delivered.
  while (!waiting_.empty() && waiting_.front().first <= id) waiting_.pop_front();
  after_id_ = std::max(after_id_, id);
}

void EventSubscription::offer(std::int64_t id, const json::object& event,
                              const std::shared_ptr<const std::string>& bytes) {
  if (!filter_.matches(event)) return;
  std::lock_guard lock(mutex_);
  if (overflowed_ || id <= after_id_) return;
  after_id_ = id;
  if (waiting_.size() >= kUndeliveredMax) {
    overflowed_ = true;
    return;
  }
  waiting_.emplace_back(id, bytes);
}

bool EventSubscription::take(std::string& out) {
  std::lock_guard lock(mutex_);
  for (const auto& [id, bytes] : waiting_) out += *bytes;
  waiting_.clear();
  if (overflowed_) out += sse_error("event stream buffer overflow");
  return !overflowed_;
}

std::shared_ptr<EventSubscription> EventHub::subscribe(EventFilter filter, std::int64_t after_id) {
  auto subscription = std::make_shared<EventSubscription>(std::move(filter), after_id);
  std::lock_guard lock(mutex_);
  subscriptions_.push_back(subscription);
  return subscription;
}

void EventHub::publish(const json::object& event) {
  if (anybody()) publish_as(number_of(event, "id"), event, public_form(event));
}

bool EventHub::anybody() {
  std::lock_guard lock(mutex_);
  std::erase_if(subscriptions_, [](const auto& weak) { return weak.expired(); });
  return !subscriptions_.empty();
}

void EventHub::publish_as(std::int64_t id, const json::object& matched, const json::object& shown) {
  std::vector<std::shared_ptr<EventSubscription>> alive;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(subscriptions_, [](const auto& weak) { return weak.expired(); });
    for (const auto& weak : subscriptions_) {
      if (auto subscription = weak.lock()) alive.push_back(std::move(subscription));
    }
  }
  if (alive.empty()) return;
  auto bytes = std::make_shared<const std::string>(sse_data(json::serialize(shown)));
  for (const auto& subscription : alive) subscription->offer(id, matched, bytes);
  wake_();
}

}  // namespace flynn::controller
