// AskedChanges: changes of plugins that were asked for through the door, carried out off the asker's thread: those of a
// slot one after another. A plugin may so ask for a change of itself: its drain never waits for the call that asked.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "flynn/sdk/json.h"
#include "flynn/sdk/worker.h"

namespace flynn::core {

struct AskedChange {
  std::string id, slot, action, who;
  std::string state = "queued";  // queued | running | done | failed
  bool in_force = false;         // nothing is left but the end of the old instance
  std::string at, ended_at;
  json::object result;
  Error error;  // when failed
  json::object document() const;
};

/// Thread: ask and find [any]; start and stop [control].
class AskedChanges {
 public:
  using Work = std::function<Result<json::object>(const std::function<void()>& in_force)>;
  /// `told` runs after each step of a change, on one of the changes' threads or the asker's.
  explicit AskedChanges(std::function<void(const AskedChange&)> told) : told_(std::move(told)) {}
  ~AskedChanges() { stop(); }

  void start();
  /// What has not begun fails with `cancelled`; what runs is waited for.
  void stop();
  /// resource_exhausted when too many wait.
  Result<AskedChange> ask(std::string slot, std::string action, std::string who, Work work);
  /// The newest of them are remembered until the host ends.
  Result<AskedChange> find(const std::string& id) const;

 private:
  struct Waiting {
    std::string id, slot;
    Work work;
  };
  void run(const StopSignal& stop);
  /// Of a slot of which nothing runs; nullopt when there is none.
  std::optional<Waiting> take();
  void update(const std::string& id, const std::function<void(AskedChange&)>& change);

  std::function<void(const AskedChange&)> told_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<AskedChange> known_;  // oldest first
  std::deque<Waiting> waiting_;
  std::set<std::string> busy_;  // slots
  bool open_ = false;
  std::array<Worker, 3> workers_;
};

}  // namespace flynn::core
