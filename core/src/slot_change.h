// SlotChange: the right to change a slot, from its begin to its outcome.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "change_board.h"
#include "slot.h"
#include "swap.h"

namespace flynn::core {

/// Holds the slot's lifecycle lock and its place on the board. Thread: the one that began it.
class SlotChange {
 public:
  /// Waits for options.lock_wait at most when another change of the slot runs, then `conflict` names that one. A health
  /// check that runs just now is waited for.
  static Result<std::unique_ptr<SlotChange>> begin(ChangeBoard& board, Slot& slot, const std::string& action,
                                                   const SwapOptions& options);
  ~SlotChange();
  SlotChange(const SlotChange&) = delete;
  SlotChange& operator=(const SlotChange&) = delete;

  void enter(const std::string& phase, std::chrono::milliseconds limit);
  /// See SwapHooks and ChangeBoard.
  void hush(bool quiet);
  /// What watchers are told when it ends.
  void set_outcome(std::string outcome) { outcome_ = std::move(outcome); }
  double elapsed_ms() const;
  /// Members for the audit log's entry, whatever the outcome.
  json::object& note() { return note_; }

 private:
  SlotChange(ChangeBoard& board, Slot& slot);
  ChangeBoard& board_;
  Slot& slot_;
  std::unique_lock<std::mutex> lock_;
  std::string outcome_ = "failed";
  json::object note_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace flynn::core
