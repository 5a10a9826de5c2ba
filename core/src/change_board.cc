#include "change_board.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace flynn::core {
namespace {

using Clock = RunningChange::Clock;

constexpr auto kWantedInterval = std::chrono::milliseconds(100);

double ms_since(Clock::time_point start) {
  return std::round(std::chrono::duration<double, std::milli>(Clock::now() - start).count() * 1000) / 1000;
}

std::string seconds_since(Clock::time_point start) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", ms_since(start) / 1000);
  return text;
}

}  // namespace

json::object RunningChange::document() const {
  json::object line{{"slot", slot},
                    {"change", id},
                    {"action", action},
                    {"who", who},
                    {"phase", phase},
                    {"elapsed_ms", ms_since(began)},
                    {"phase_ms", ms_since(phase_began)}};
  if (phase_limit.count() > 0) line["deadline_ms"] = phase_limit.count();
  return line;
}

std::string RunningChange::text() const {
  return "a " + action + " by " + who + " has been running for " + seconds_since(began) + ", in phase " + phase +
         " since " + seconds_since(phase_began);
}

ChangeBoard::Watcher::Watcher(ChangeBoard& board, std::string slot)
    : board_(board), slot_(std::move(slot)), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ChangeBoard::Watcher::~Watcher() {
  const std::lock_guard lock(board_.mutex_);
  board_.watchers_.erase(this);
}

std::deque<json::object> ChangeBoard::Watcher::take() {
  const std::lock_guard lock(board_.mutex_);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(event_.get(), &count, sizeof count);
  return std::exchange(lines_, {});
}

void ChangeBoard::tell(const json::object& line, const std::string& slot) {
  for (auto* watcher : watchers_) {
    if (!watcher->slot_.empty() && watcher->slot_ != slot) continue;
    watcher->lines_.push_back(line);
    if (watcher->lines_.size() > kWatchedLinesMax) watcher->lines_.pop_front();
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(watcher->event_.get(), &one, sizeof one);
  }
}

Result<std::int64_t> ChangeBoard::begin(const std::string& slot, const std::string& action, const std::string& who,
                                        std::chrono::milliseconds wait, const std::function<bool()>& wanted) {
  const auto end = Clock::now() + wait;
  std::unique_lock lock(mutex_);
  while (running_.contains(slot)) {
    const auto now = Clock::now();
    if (now >= end)
      return Error{Code::conflict, slot + ": " + running_.at(slot).text() + ": wait for it (flynn plugin watch " +
                                       slot + ", or --lock-wait SECONDS)"};
    ended_.wait_until(lock, std::min(end, now + kWantedInterval));
    if (wanted && !wanted()) return Error{Code::cancelled, "the operator left while waiting for another change"};
  }
  RunningChange change;
  change.slot = slot;
  change.action = action;
  change.who = who;
  change.id = ++last_id_;
  running_[slot] = change;
  tell(change.document(), slot);
  return change.id;
}

void ChangeBoard::enter(const std::string& slot, const std::string& phase, std::chrono::milliseconds limit) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(slot);
  if (found == running_.end()) return;
  found->second.phase = phase;
  found->second.phase_began = Clock::now();
  found->second.phase_limit = limit;
  auto line = found->second.document();
  if (found->second.hushed)
    found->second.untold.push_back(std::move(line));
  else
    tell(line, slot);
}

void ChangeBoard::hush(const std::string& slot, bool quiet) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(slot);
  if (found == running_.end()) return;
  found->second.hushed = quiet;
  for (const auto& line : std::exchange(found->second.untold, {})) tell(line, slot);
}

void ChangeBoard::end(const std::string& slot, const std::string& outcome) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(slot);
    if (found == running_.end()) return;
    auto line = found->second.document();
    line["outcome"] = outcome;
    tell(line, slot);
    running_.erase(found);
  }
  ended_.notify_all();
}

std::optional<RunningChange> ChangeBoard::running(const std::string& slot) const {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(slot);
  if (found == running_.end()) return std::nullopt;
  return found->second;
}

std::int64_t ChangeBoard::take_back(const std::string& slot, const std::string& who) {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(slot);
  if (found == running_.end()) return 0;
  auto& change = found->second;
  // A roll-back is no swap to be regretted: who asks twice for one wants it once.
  if (change.action != "swap" && change.action != "configuration") return 0;
  if (change.phase != "canary" && change.phase != "probation") return 0;
  if (change.taken_back_by.empty()) change.taken_back_by = who.empty() ? "an operator" : who;
  return change.id;
}

std::string ChangeBoard::taken_back_by(const std::string& slot) const {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(slot);
  return found == running_.end() ? std::string() : found->second.taken_back_by;
}

bool ChangeBoard::wait_for_end(const std::string& slot, std::int64_t id, const std::function<bool()>& wanted) {
  std::unique_lock lock(mutex_);
  const auto ended = [&] {
    const auto found = running_.find(slot);
    return found == running_.end() || found->second.id != id;
  };
  while (!ended_.wait_for(lock, kWantedInterval, ended))
    if (wanted && !wanted()) return false;
  return true;
}

std::deque<json::object> ChangeBoard::running_lines(const std::string& slot) const {
  const std::lock_guard lock(mutex_);
  std::deque<json::object> lines;
  for (const auto& [name, change] : running_)
    if (slot.empty() || slot == name) lines.push_back(change.document());
  return lines;
}

std::size_t ChangeBoard::watchers() const {
  const std::lock_guard lock(mutex_);
  return watchers_.size();
}

Result<std::unique_ptr<ChangeBoard::Watcher>> ChangeBoard::watch(const std::string& slot) {
  std::unique_ptr<Watcher> watcher(new Watcher(*this, slot));
  const std::lock_guard lock(mutex_);
  if (watchers_.size() >= kWatchersMax)
    return Error{Code::resource_exhausted, std::to_string(kWatchersMax) + " watch already: end one of them"};
  for (const auto& [name, change] : running_)
    if (slot.empty() || slot == name) watcher->lines_.push_back(change.document());
  watchers_.insert(watcher.get());
  if (!watcher->lines_.empty()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(watcher->event_.get(), &one, sizeof one);
  }
  return watcher;
}

}  // namespace flynn::core
