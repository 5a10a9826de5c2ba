// The real flynn-host under its keeper, in a folder of its own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::core {

class RunningHost {
 public:
  using Slots = std::initializer_list<std::pair<const char*, const char*>>;
  /// Slot -> animal of the zoo or the path of a file, more lines of the configuration, and more lines of its [core].
  /// The listener "web" has port 0, "range" three free ports from range_port() on.
  explicit RunningHost(Slots slots, const std::string& more = {}, const std::string& core = {});
  ~RunningHost();
  RunningHost(const RunningHost&) = delete;
  RunningHost& operator=(const RunningHost&) = delete;

  /// Writes the configuration anew (for the host that comes next).
  void configure(Slots slots, const std::string& more = {}, const std::string& core = {}) const;
  void start();
  /// SIGTERM to the keeper; its exit code, -1 for a signal.
  int stop();
  /// SIGKILL to both, as a power cut.
  void kill_all();

  /// {"result":…} or {"error":…}; empty when nobody answers.
  json::object ask(const std::string& method, const json::object& params = {}) const;
  json::object result(const std::string& method, const json::object& params = {}) const;
  /// A call through the door to zoo.animal/1; its body.
  json::object call(const std::string& method) const;
  /// The slot's object of plugin.list.
  json::object slot(const std::string& name) const;
  std::string state(const std::string& name) const { return string_or(slot(name), "state"); }
  /// Newest last.
  std::vector<json::object> history() const;
  /// The newest entry with that action; empty if there is none.
  json::object entry(const std::string& action) const;

  /// The pid of an answering host process that is not `other`; -1 when none comes within 10 s.
  pid_t wait_for_host(pid_t other = 0) const;
  /// Until `done` says so; false after 10 s.
  static bool wait_until(const std::function<bool()>& done);

  int range_port() const { return range_port_; }
  pid_t keeper() const { return keeper_; }
  const std::string& folder() const { return folder_; }
  std::string audit_file() const { return folder_ + "/data/core/audit.ndjson"; }
  std::string keeper_words() const { return text_of("/keeper.log"); }
  std::string record() const { return text_of("/data/core/active.json"); }

 private:
  std::string text_of(const std::string& file) const;
  std::string folder_;
  int range_port_ = 0;
  pid_t keeper_ = -1;
};

}  // namespace flynn::core
