#include "slot_change.h"

namespace flynn::core {

SlotChange::SlotChange(ChangeBoard& board, Slot& slot) : board_(board), slot_(slot), lock_(slot.lifecycle()) {}

Result<std::unique_ptr<SlotChange>> SlotChange::begin(ChangeBoard& board, Slot& slot, const std::string& action,
                                                      const SwapOptions& options) {
  auto begun = board.begin(slot.name(), action, options.who, options.lock_wait, options.wanted);
  if (!begun) return begun.error();
  std::unique_ptr<SlotChange> change(new SlotChange(board, slot));
  change->note_["change"] = *begun;
  change->note_["who"] = options.who;
  return change;
}

SlotChange::~SlotChange() {
  lock_.unlock();
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
