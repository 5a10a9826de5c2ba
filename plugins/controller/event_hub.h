/// Hands each new event to the streams that asked for it.
///
/// A subscription holds at most kUndeliveredMax events; one that falls behind is told so and ended, the others never
/// wait.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "event_filter.h"

namespace flynn::controller {

inline constexpr std::size_t kUndeliveredMax = 1000;

/// Thread: [any].
class EventSubscription : public http::Feed {
 public:
  EventSubscription(EventFilter filter, std::int64_t after_id) : filter_(std::move(filter)), after_id_(after_id) {}

  /// Events up to and including `id` were delivered another way (the backlog).
  void skip_until(std::int64_t id);
  void offer(std::int64_t id, const boost::json::object& event, const std::shared_ptr<const std::string>& bytes);
  /// Appends what has come to `out`; false once the subscription has overflowed and the stream must end.
  bool take(std::string& out) override;

 private:
  const EventFilter filter_;
  std::mutex mutex_;
  std::int64_t after_id_;
  std::deque<std::pair<std::int64_t, std::shared_ptr<const std::string>>> waiting_;
  bool overflowed_ = false;
};

/// Thread: [any]; publish is called by one thread.
class EventHub {
 public:
  /// `wake` runs after events were offered; it must be cheap.
  explicit EventHub(std::function<void()> wake) : wake_(std::move(wake)) {}

  std::shared_ptr<EventSubscription> subscribe(EventFilter filter, std::int64_t after_id);
  void publish(const boost::json::object& event);
  /// `shown` goes to those whose filter matches `matched`; `id` must rise among those that a filter lets pass.
  void publish_as(std::int64_t id, const boost::json::object& matched, const boost::json::object& shown);
  bool anybody();

 private:
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<EventSubscription>> subscriptions_;
};

}  // namespace flynn::controller
