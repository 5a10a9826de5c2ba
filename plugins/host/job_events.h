// JobEvents: what happens to the jobs of this machine, for those who listen by HTTP.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/message.h"
#include "job_unit.h"

namespace flynn::host {

/// "create", "start", "stop" or "error": what the step from `before` to the unit's phase is to those who listen; null
/// when it is nothing to them. Pure.
const char* job_event(Phase before, const JobUnit& after);

inline constexpr std::size_t kUndeliveredEventsMax = 1000;

/// A listener that falls kUndeliveredEventsMax behind is told so and ended; the others never wait.
/// Thread: [any].
class JobEvents {
 public:
  /// `wake` runs after feeds have got something to take; it must be cheap.
  explicit JobEvents(std::function<void()> wake) : wake_(std::move(wake)) {}

  /// `job_id`: of one job, which need not be here yet; empty: of all.
  std::shared_ptr<http::Feed> listen(std::string job_id);
  /// `event`: one line of JSON.
  void publish(const std::string& job_id, const std::string& event);
  bool has_listeners() const;
  /// Ends every feed after what it still holds.
  void end_all();

 private:
  class Listener;
  std::vector<std::shared_ptr<Listener>> alive();

  const std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<Listener>> listeners_;  // the stream that delivers owns it
};

}  // namespace flynn::host
