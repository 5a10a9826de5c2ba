// Watcher: one reader's end of a watch: what it still has to be sent, and how far it has come.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>

#include "event_history.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::store {

/// Thread: the hub's.
class Watcher {
 public:
  using Clock = std::chrono::steady_clock;
  enum class State { open, ending, gone };

  Watcher(KeyInterval interval, Revision first, UniqueFd stream)
      : interval_(std::move(interval)), next_(first), stream_(std::move(stream)) {}

  int fd() const { return stream_.get(); }
  Revision next() const { return next_; }
  State state() const { return state_; }
  std::size_t pending_bytes() const { return pending_bytes_; }
  /// Whether the hub waits for room in its socket.
  bool wants_output() const { return wants_output_; }
  void set_wants_output(bool wants) { wants_output_ = wants; }
  /// False: give it no more for now. A reader that is catching up sets its own pace; a live one is given everything.
  bool wants_more(Revision head);
  /// Takes revision next(). Cuts off a live reader that is too far behind.
  void take(const RevisionEvents& revision, Clock::time_point now);
  /// A progress line, if nothing was sent for a while.
  void tick(Revision head, Clock::time_point now);
  /// Ends it with a last line, after the line that is half sent.
  void end_with(std::string line, Clock::time_point now);
  /// Writes what the socket takes. The state is `gone` when the reader has left or the last line was sent.
  void flush(Clock::time_point now);

 private:
  void push(std::string line);

  KeyInterval interval_;
  Revision next_;
  UniqueFd stream_;
  State state_ = State::open;
  bool wants_output_ = false;
  bool live_ = false;  // has reached the head once
  std::deque<std::string> lines_;
  std::size_t sent_of_first_ = 0;
  std::size_t pending_bytes_ = 0;
  Clock::time_point last_line_ = Clock::now();
  Clock::time_point give_up_at_{};
};

}  // namespace flynn::store
