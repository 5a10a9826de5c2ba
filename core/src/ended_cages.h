// EndedCages: the slots whose cage has ended, on their way to a new one; on a thread that nothing else holds up.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "cage.h"
#include "flynn/sdk/worker.h"

namespace flynn::core {

struct EndedCage {
  std::string slot;
  pid_t process = -1;
  CageEnd end;
};

/// Thread: add [any]; start and stop [control].
class EndedCages {
 public:
  /// `revive` is called for one after the other.
  using Revive = std::function<void(const EndedCage& ended)>;
  ~EndedCages() { stop(); }
  void start(Revive revive);
  void stop();
  void add(EndedCage ended);

 private:
  void run(const StopSignal& stop);

  Revive revive_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<EndedCage> ended_;
  bool open_ = false;
  Worker worker_;
};

}  // namespace flynn::core
