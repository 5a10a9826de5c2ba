#include "connection_pump.h"

#include <poll.h>

#include <algorithm>

#include "forever.h"

namespace flynn::core {
namespace {

// How long the source may look for something idle; and, while it drains, how long for something that becomes idle.
constexpr auto kIdleSlice = std::chrono::milliseconds(5), kDrainSlice = std::chrono::milliseconds(100);
// A source that answers "nothing" without waiting is not asked in a tight loop.
constexpr int kPauseMs = 5;

Deadline earlier(Deadline one, Deadline other) { return one.ns < other.ns ? one : other; }

}  // namespace

ConnectionPump::ConnectionPump(Generation& source, Generation& target, std::chrono::milliseconds patience,
                               EventLog& log)
    : source_(source),
      target_(target),
      patience_(patience),
      log_(log),
      // What is handed over is a secret of one plugin: another one's connections are drained.
      works_(source.facts().manifest.name == target.facts().manifest.name && source.hands_over() &&
             target.hands_over()) {}

ConnectionPump::Step ConnectionPump::step(unsigned permille, Deadline deadline) {
  auto given = source_.hand_over(permille, deadline);
  if (!given) {
    works_ = false;
    log_.write(FLYNN_LOG_WARN, source_.facts().slot, "hand_over_failed",
               {{"error", given.error().message}, {"effect", "connections are drained instead"}});
    return Step::broken;
  }
  left_ = std::max<std::int64_t>(0, int_or(given->body, "left"));
  const auto* list = find_array(given->body, "connections");
  const std::uint64_t size = list != nullptr && !list->empty() ? list->size() : given->fds.size();
  if (size == 0) return Step::nothing;
  const auto taken = target_.take_over(*given, Deadline::after(patience_));
  if (!taken) return give_back(*given, size, taken.error());
  count_.moved += size;
  return Step::moved;
}

ConnectionPump::Step ConnectionPump::give_back(Reply& refused, std::uint64_t size, const Error& why) {
  works_ = false;
  // A function that hangs may still look at the descriptors' numbers: they must not become somebody else's.
  const bool hangs = why.code == Code::deadline_exceeded;
  Result<void> back = why;
  if (hangs)
    keep_forever(std::make_shared<Reply>(std::move(refused)));
  else
    back = source_.take_over(refused, Deadline::after(patience_));
  (back ? count_.refused : count_.lost) += size;
  log_.write(back ? FLYNN_LOG_WARN : FLYNN_LOG_ERROR, source_.facts().slot, "take_over_failed",
             {{"connections", std::to_string(size)},
              {"lost", std::to_string(back ? 0 : size)},
              {"error", why.message},
              {"effect", "no more connections move; the old version drains"}});
  return Step::broken;
}

void ConnectionPump::move_idle(Deadline limit) {
  while (works_ && !limit.passed())
    if (step(1000, earlier(limit, Deadline::after(kIdleSlice))) != Step::moved) return;
}

void ConnectionPump::move_all(Deadline deadline) {
  while (works_ && !deadline.passed()) {
    const auto slice = earlier(deadline, Deadline::after(kDrainSlice));
    if (step(1000, slice) != Step::nothing) continue;
    if (left_ == 0) return;
    if (!slice.passed()) ::poll(nullptr, 0, kPauseMs);
  }
}

void ConnectionPump::share(unsigned permille, std::chrono::milliseconds slice) {
  const auto end = Deadline::after(slice);
  while (works_ && !end.passed())
    if (step(permille, end) == Step::nothing && !end.passed()) ::poll(nullptr, 0, std::min(kPauseMs, end.left_ms()));
  if (!end.passed()) ::poll(nullptr, 0, end.left_ms());
}

}  // namespace flynn::core
