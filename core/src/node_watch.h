// NodeWatch: the streams of flynn.node/1 Watch. Tells what has changed of any plugin, and how asked changes go on.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"

namespace flynn::core {

/// A reader that does not read is cut off: it opens again and begins with the whole list. Thread: touched, tell and
/// open [any]; start and stop [control].
class NodeWatch {
 public:
  /// `facts` gives one object with "slot" for each plugin; called on this object's thread only, without its lock.
  explicit NodeWatch(std::function<json::array()> facts) : facts_(std::move(facts)) {}
  ~NodeWatch() { stop(); }

  void start();
  void stop();
  void touched();
  void tell(json::object line);
  /// The reader's end; its first line is {"plugins":[…]}. resource_exhausted when too many watch.
  Result<UniqueFd> open();

 private:
  struct Watcher {
    UniqueFd fd;
    bool greeted = false;
  };
  void run(const StopSignal& stop);
  void round(std::vector<std::string> lines);
  /// The lines of those slots whose facts differ from the last time.
  std::string news(const json::array& all);

  std::function<json::array()> facts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool touched_ = false, open_ = false;
  std::vector<std::string> lines_;
  std::vector<Watcher> arriving_;
  std::size_t count_ = 0;
  std::vector<Watcher> watchers_;            // the thread's own
  std::map<std::string, std::string> told_;  // slot -> facts, the thread's own
  Worker worker_;
};

}  // namespace flynn::core
