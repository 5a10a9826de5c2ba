/// Which events are of which app, type and object, so that a filter reads only what it answers.
///
/// A copy in memory (some 30 bytes an event) of what the store's events say; event ids rise in commit order, so it
/// is complete as soon as it has read up to the newest one. catch_up() reads what is new since the last time: at the
/// start that is all, in the background, and until then filters read the events themselves. Decision 0020.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "event_filter.h"
#include "store.h"

namespace flynn::controller {

/// Thread: [any].
class EventIndex {
 public:
  explicit EventIndex(std::int64_t events_max) : events_max_(events_max) {}

  /// Reads the events after the newest known one. Stops early when `stopping` becomes true.
  Verdict catch_up(Store& store, const std::atomic<bool>& stopping);
  /// False until the first catch_up has come to the end.
  bool ready() const { return ready_; }

  struct Span {
    std::int64_t after = 0;    // ids above this one
    std::int64_t before = -1;  // and below this one; negative: no limit
  };
  /// Ids that pass, at most `count` (negative: all), newest or oldest first. Of object ids only a digest is known: what
  /// is read must be looked at again. Some may have been pruned meanwhile.
  std::vector<std::int64_t> find(const EventFilter& filter, Span span, std::int64_t count, bool newest_first) const;

 private:
  struct Row {
    std::int64_t id;
    std::uint64_t object;  // digest of the object's id
    std::uint32_t app, type;
  };
  void add(const json::object& event);
  std::uint32_t number_of_text(const std::string& text);

  const std::int64_t events_max_;
  std::atomic<bool> ready_{false};
  std::mutex reading_;  // one catch_up at a time
  mutable std::mutex mutex_;
  std::deque<Row> rows_;                                  // ids rise
  std::unordered_map<std::string, std::uint32_t> texts_;  // of apps and types
};

}  // namespace flynn::controller
