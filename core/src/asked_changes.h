// AskedChanges: changes of plugins that were asked for through the door, carried out one after another off the asker's
// thread. A plugin may so ask for a change of itself: its drain never waits for the call that asked.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "flynn/sdk/json.h"
#include "flynn/sdk/worker.h"

namespace flynn::core {

struct AskedChange {
  std::string id, slot, action, who;
  std::string state = "queued";  // queued | running | done | failed
  std::string at, ended_at;
  json::object result;
  Error error;  // when failed
  json::object document() const;
};

/// Thread: ask and find [any]; start and stop [control].
class AskedChanges {
 public:
  using Work = std::function<Result<json::object>()>;
  /// `told` runs after each step of a change, on the changes' thread or the asker's.
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
  void run(const StopSignal& stop);
  void end(const std::string& id, Result<json::object> outcome);
  AskedChange* entry(const std::string& id);

  std::function<void(const AskedChange&)> told_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<AskedChange> known_;                     // oldest first
  std::deque<std::pair<std::string, Work>> waiting_;  // by id
  bool open_ = false;
  Worker worker_;
};

}  // namespace flynn::core
