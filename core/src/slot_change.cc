#include "slot_change.h"

#include <poll.h>

namespace flynn::core {

namespace {

// A start or a health check that runs just now; each ends by its own deadline.
constexpr int kLookEveryMs = 1;

}  // namespace

SlotChange::SlotChange(ChangeBoard& board, Slot& slot)
    : board_(board), slot_(slot), lock_(slot.lifecycle(), std::try_to_lock) {}

Result<std::unique_ptr<SlotChange>> SlotChange::begin(ChangeBoard& board, Slot& slot, const std::string& action,
                                                      const SwapOptions& options) {
  auto begun = board.begin(slot.name(), action, options.who, options.lock_wait, options.wanted);
  if (!begun) return begun.error();
  std::unique_ptr<SlotChange> change(new SlotChange(board, slot));
  if (!change->lock_) change->enter("wait for a start or health check", {});
  while (!change->lock_ && !change->lock_.try_lock()) {
    if (options.wanted && !options.wanted()) {
      change->set_outcome("not begun: the operator left");
      return Error{Code::cancelled, "the operator left while waiting for a start or health check of " + slot.name()};
    }
    ::poll(nullptr, 0, kLookEveryMs);
  }
  change->note_["change"] = *begun;
  change->note_["who"] = options.who;
  return change;
}

SlotChange::~SlotChange() {
  if (lock_) lock_.unlock();
  board_.end(slot_.name(), outcome_);
}

void SlotChange::enter(const std::string& phase, std::chrono::milliseconds limit) {
  board_.enter(slot_.name(), phase, limit);
}

void SlotChange::hush(bool quiet) { board_.hush(slot_.name(), quiet); }

double SlotChange::elapsed_ms() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began_).count();
}

}  // namespace flynn::core
