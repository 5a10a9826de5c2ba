// Cage: a plugin's instance in a process of its own, as the host sees it: a flynn_instance_vt like any other.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "child_host.h"
#include "flynn/plugin.h"
#include "instance_function.h"
#include "lane_pool.h"
#include "manifest.h"
#include "walls.h"

namespace flynn::core {

class CageYard;

struct CageSpec {
  std::string slot;
  Manifest manifest;
  std::string info_json;
  std::filesystem::path image;
  CageWalls walls;
  /// What the instance asks for is asked of this one, on threads of the cage. Kept as long as they run.
  std::shared_ptr<const flynn_host> host;
};

/// How a cage's process ended.
struct CageEnd {
  std::string words;      ///< "signal 11 (SIGSEGV)", "exit code 3"
  bool expected = false;  ///< the host had closed it
  bool fault = false;     ///< by its own doing: SIGKILL comes from outside
};

/// Thread: create and the lifecycle functions of table() [control]; the rest [any].
class Cage {
 public:
  /// Starts the process; its walls stand when this returns. Errors say what the process said.
  static Result<std::shared_ptr<Cage>> open(CageYard& yard, CageSpec spec, Deadline deadline);
  /// The process has ended.
  ~Cage();
  Cage(const Cage&) = delete;
  Cage& operator=(const Cage&) = delete;

  /// Loads the image there and makes the instance; from then on table() is whole.
  flynn_status create(flynn_error* error);
  const flynn_instance_vt* table() const { return &table_; }
  void* self() { return this; }

  pid_t pid() const { return pid_; }
  const std::string& slot() const { return spec_.slot; }
  const CageWalls& walls() const { return spec_.walls; }
  /// As its process found them once they were raised, before it loaded the plugin.
  const std::vector<Wall>& raised() const { return raised_; }
  /// Nothing while the process runs.
  std::optional<CageEnd> end() const;
  /// Ends the process: asks, and kills it at the deadline. It has ended when this returns. True: it did as asked.
  bool close(Deadline deadline);
  void kill() const;
  /// Kills it because it hangs: the host has closed it. close() waits for the end.
  void give_up();

  /// For the yard: the process was reaped with this status of waitid.
  void process_ended(int code, int status);
  /// For the yard: no thread of it runs any more.
  bool at_rest() const;

 private:
  Cage(CageSpec spec, Lane control, Lane lifecycle);
  struct Servant {
    std::thread thread;
    bool done = false;  // under mutex_
  };

  static Cage& self(void* instance) { return *static_cast<Cage*>(instance); }
  static flynn_status handle(void* instance, const flynn_call* call, flynn_reply* reply);
  void fill_table(std::uint32_t functions);
  flynn_status phase(InstanceFunction function, Frame request, flynn_reply* reply, flynn_error* error);
  void listen();
  void start_servant(Lane lane);
  void serve(Lane& lane);
  void end_servants();

  CageSpec spec_;
  flynn_instance_vt table_{};
  ControlLane control_;
  Lane lifecycle_;
  LanePool lanes_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::vector<Wall> raised_;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<CageEnd> end_;
  bool closing_ = false;
  bool killed_ = false;  // by us, while closing
  std::list<Servant> servants_;
  std::set<int> served_;  // descriptors of the servants' lanes; each is erased before it is closed
  bool listening_ = false;
  std::thread listener_;
};

}  // namespace flynn::core
