// EventHistory: the newest revisions in memory, for watches. Older ones are read from the journal.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "transaction.h"

namespace flynn::store {

/// All changes of one revision. Immutable once published.
struct RevisionEvents {
  Revision revision = 0;
  std::vector<Event> events;

  std::size_t bytes() const;
};
using RevisionEventsPtr = std::shared_ptr<const RevisionEvents>;

/// Revisions are contiguous. Thread: [any].
class EventHistory {
 public:
  /// `bytes_max` bounds what waits for watches, `tail_bytes` what stays after all have it.
  EventHistory(Revision head, std::size_t bytes_max, std::size_t tail_bytes)
      : head_(head), bytes_max_(bytes_max), tail_bytes_(tail_bytes) {}

  void append(RevisionEventsPtr events);
  /// Null when it is not in memory (older, or still to come).
  RevisionEventsPtr find(Revision revision) const;
  /// Every watch has what is below `next`: of that, only the tail stays.
  void served(Revision next);
  /// The newest revision that was published.
  Revision head() const;
  /// Of what is kept, as bytes() counts.
  std::size_t bytes() const;

 private:
  void drop_oldest();

  mutable std::mutex mutex_;
  std::deque<RevisionEventsPtr> revisions_;
  Revision head_;
  std::size_t bytes_ = 0;
  const std::size_t bytes_max_, tail_bytes_;
};

/// The line of a watch for the events that lie in `interval`; empty when none does.
std::string watch_line(const RevisionEvents& revision, const KeyInterval& interval);
std::string progress_line(Revision revision);
std::string error_line(std::string_view code, std::string_view message);

}  // namespace flynn::store
