// ConnectionPump: moves connections from one generation of a slot to another without looking inside.
#pragma once

#include <chrono>
#include <cstdint>

#include "generation.h"
#include "log.h"

namespace flynn::core {

/// Source: docs/decisions/0006-connections-move.md. A batch that the target refuses goes back to the source, which
/// serves it to its end; from then on nothing is pumped any more. Nothing here fails a swap: what goes wrong is logged
/// with the count of connections that it cost. Thread: the holder of the slot's lifecycle lock.
class ConnectionPump {
 public:
  struct Count {
    std::uint64_t moved = 0;
    std::uint64_t refused = 0;  ///< given back to the source
    std::uint64_t lost = 0;
  };

  /// Borrows all. `patience`: how long take_over may last.
  ConnectionPump(Generation& source, Generation& target, std::chrono::milliseconds patience, EventLog& log);

  /// Both can, and nothing has gone wrong.
  bool works() const { return works_; }
  /// What is idle now: batch after batch until nothing more is offered, or the limit.
  void move_idle(Deadline limit);
  /// What becomes idle as well, until nothing is left that could move.
  void move_all(Deadline deadline);
  /// This share of the connections that the source accepts from now on, for the length of `slice`.
  void share(unsigned permille, std::chrono::milliseconds slice);
  const Count& count() const { return count_; }

 private:
  enum class Step { moved, nothing, broken };
  Step step(unsigned permille, Deadline deadline);
  Step give_back(Reply& refused, std::uint64_t size, const Error& why);

  Generation& source_;
  Generation& target_;
  std::chrono::milliseconds patience_;
  EventLog& log_;
  bool works_;
  std::int64_t left_ = 1;  // that may still move, as the source says; 1 until it has been asked
  Count count_;
};

}  // namespace flynn::core
