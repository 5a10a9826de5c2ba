// EndedCages: the slots whose cage has ended, on their way to a new one; on threads that nothing else holds up.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cage.h"
#include "flynn/sdk/worker.h"

namespace flynn::core {

struct EndedCage {
  std::string slot;
  pid_t process = -1;  ///< -1: nothing ended; it is down and asked to come up
  CageEnd end;
};

/// The slots that one can't start without, and those that they can't start without. What is optional holds nobody up.
using SlotNeeds = std::set<std::string>;

/// So many slots come back at once.
inline constexpr std::size_t kRevivesAtOnceMax = 8;

/// Which of `waiting`, oldest first, may come back now: the first whose slot is not on its way already (`busy`) and
/// that needs none of the others. When no slot is on its way and each waits for another: the first. Past the end: none.
/// Pure.
std::size_t next_to_revive(const std::vector<std::string>& waiting, const std::multiset<std::string>& busy,
                           const std::function<SlotNeeds(const std::string& slot)>& needs);

/// Thread: add [any]; start and stop [control].
class EndedCages {
 public:
  /// Called for several slots at once, for each for one after the other. The result: slots that are down and may have
  /// waited for this one.
  using Revive = std::function<std::vector<std::string>(const EndedCage& ended)>;
  using Needs = std::function<SlotNeeds(const std::string& slot)>;
  ~EndedCages() { stop(); }
  void start(std::size_t threads, Revive revive, Needs needs);
  void stop();
  void add(EndedCage ended);

 private:
  void run();
  bool take(EndedCage& taken);
  void put_back(const std::string& slot, const std::vector<std::string>& waited);

  Revive revive_;
  Needs needs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<EndedCage> ended_;
  std::multiset<std::string> busy_;
  std::set<std::string> again_;  // what came up meanwhile may be what they miss
  bool open_ = false;
  std::list<Worker> workers_;
};

}  // namespace flynn::core
