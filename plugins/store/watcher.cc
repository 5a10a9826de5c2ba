#include "watcher.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "store_limits.h"

namespace flynn::store {
namespace {

/// How long a reader that was cut off may take to read why.
constexpr std::chrono::seconds kLastLineMax{30};

}  // namespace

bool Watcher::wants_more(Revision head) {
  if (next_ > head) live_ = true;
  if (state_ != State::open || next_ > head) return false;
  return live_ || pending_bytes_ < kWatchCatchUpBytes;
}

void Watcher::take(const RevisionEvents& revision, Clock::time_point now) {
  next_ = revision.revision + 1;
  auto line = watch_line(revision, interval_);
  if (line.empty()) return;
  if (pending_bytes_ > kWatchBehindBytesMax) {
    end_with(error_line("resource_exhausted",
                        "the reader of the watch is more than 8 MiB behind: watch again from the last "
                        "revision that was read"),
             now);
    return;
  }
  push(std::move(line));
  last_line_ = now;
}

void Watcher::tick(Revision head, Clock::time_point now) {
  if (state_ != State::open || !lines_.empty() || next_ <= head || now - last_line_ < kWatchProgressEvery) return;
  push(progress_line(std::min(next_ - 1, head)));
  last_line_ = now;
}

void Watcher::end_with(std::string line, Clock::time_point now) {
  if (state_ != State::open) return;
  if (lines_.size() > 1 || sent_of_first_ == 0) {
    // What was never begun is dropped: the reader watches again from the last line it has read.
    lines_.resize(sent_of_first_ == 0 ? 0 : 1);
    pending_bytes_ = lines_.empty() ? 0 : lines_.front().size() - sent_of_first_;
  }
  push(std::move(line));
  state_ = State::ending;
  give_up_at_ = now + kLastLineMax;
}

void Watcher::push(std::string line) {
  pending_bytes_ += line.size();
  lines_.push_back(std::move(line));
}

void Watcher::flush(Clock::time_point now) {
  while (!lines_.empty() && state_ != State::gone) {
    const std::string& line = lines_.front();
    const ssize_t sent =
        ::send(fd(), line.data() + sent_of_first_, line.size() - sent_of_first_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {
      state_ = State::gone;
      return;
    }
    sent_of_first_ += static_cast<std::size_t>(sent);
    pending_bytes_ -= static_cast<std::size_t>(sent);
    if (sent_of_first_ < line.size()) continue;
    lines_.pop_front();
    sent_of_first_ = 0;
  }
  if (state_ == State::ending && (lines_.empty() || now > give_up_at_)) state_ = State::gone;
}

}  // namespace flynn::store
