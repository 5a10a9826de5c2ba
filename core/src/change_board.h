// ChangeBoard: which changes of the slots run right now, who runs them and how far they are.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

inline constexpr std::size_t kWatchersMax = 64, kWatchedLinesMax = 1024;

/// One change while it runs.
struct RunningChange {
  using Clock = std::chrono::steady_clock;
  std::string slot, action, who;
  std::int64_t id = 0;
  std::string phase = "begin";
  Clock::time_point began = Clock::now(), phase_began = Clock::now();
  std::chrono::milliseconds phase_limit{0};  ///< 0: the phase has no deadline of its own
  std::string taken_back_by;                 ///< who wants it to go back; empty: nobody
  bool hushed = false;
  std::vector<json::object> untold;

  /// {"slot", "change", "action", "who", "phase", "elapsed_ms", "phase_ms", "deadline_ms"}
  json::object document() const;
  /// "a swap by root has been running for 3.2 s, in phase drain since 1.2 s"
  std::string text() const;
};

/// Lets one change of a slot run at a time. Thread: [any].
class ChangeBoard {
 public:
  /// Receives a line at every step of the slot's changes (empty: of all); at most kWatchedLinesMax wait, the oldest go.
  class Watcher {
   public:
    ~Watcher();
    /// Readable when there are lines.
    int fd() const { return event_.get(); }
    std::deque<json::object> take();

   private:
    friend class ChangeBoard;
    Watcher(ChangeBoard& board, std::string slot);
    ChangeBoard& board_;
    std::string slot_;
    UniqueFd event_;
    std::deque<json::object> lines_;  // under board_.mutex_
  };

  /// The new change's id. Another one that runs is waited for, as long as `wanted` (asked every 100 ms) is true;
  /// then `conflict` names it.
  Result<std::int64_t> begin(const std::string& slot, const std::string& action, const std::string& who,
                             std::chrono::milliseconds wait, const std::function<bool()>& wanted);
  void enter(const std::string& slot, const std::string& phase, std::chrono::milliseconds limit);
  /// While hushed, watchers are not woken; then they get the lines of all that was entered.
  void hush(const std::string& slot, bool quiet);
  void end(const std::string& slot, const std::string& outcome);
  std::optional<RunningChange> running(const std::string& slot) const;

  /// A swap or configuration that is on canary or probation is asked to go back, for `who`; its id. 0: none such runs.
  std::int64_t take_back(const std::string& slot, const std::string& who);
  /// Who asked that of the one that runs; empty: nobody.
  std::string taken_back_by(const std::string& slot) const;
  /// False when `wanted` (asked every 100 ms) ended the wait before the change has ended.
  bool wait_for_end(const std::string& slot, std::int64_t id, const std::function<bool()>& wanted);
  /// As lines; `slot` empty: of all.
  std::deque<json::object> running_lines(const std::string& slot) const;

  /// resource_exhausted when kWatchersMax watch already. Its first lines are what runs now. The board must outlive it.
  Result<std::unique_ptr<Watcher>> watch(const std::string& slot);
  std::size_t watchers() const;

 private:
  void tell(const json::object& line, const std::string& slot);

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::map<std::string, RunningChange> running_;
  std::set<Watcher*> watchers_;
  std::int64_t last_id_ = 0;
};

}  // namespace flynn::core
