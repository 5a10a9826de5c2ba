/// One thread that makes what was asked come true: it tells of job changes, moves deployments on and ends scale
/// requests.
///
/// It works inside the gate. It keeps nothing that is not in the store or in the job cache, so the next instance goes
/// on where this one stopped. Thread: start and stop [control].
#pragma once

#include <map>
#include <string>

#include "context.h"
#include "flynn/sdk/worker.h"

namespace flynn::controller {

class Reconciler {
 public:
  explicit Reconciler(Context& context) : context_(context) {}

  /// `on_tick` runs about every 3 s on the reconciler's thread, inside the gate.
  void start(std::function<void()> on_tick);
  /// Before the gate is opened: whoever worked meanwhile has left notes, which are read anew.
  void begin();
  void stop();
  std::size_t deployments_running() const { return deployments_running_; }

 private:
  void run(const StopSignal& stop, const std::function<void()>& on_tick);
  /// False when the store did not answer: come back soon.
  bool round();
  bool reconcile();
  bool load_noted_jobs();
  void take_job_changes();
  void drop_told_changes();
  bool tell_job_changes();
  bool tell(const json::object& status);
  void add_deployment_progress(const json::object& status, Change& change);
  bool reload_work();
  bool check_scales();

  Context& context_;
  Worker worker_;
  std::atomic<bool> begun_{false};                 // and the thread has not seen it yet
  std::map<std::string, std::string> noted_jobs_;  // state of each job that the last event told
  bool noted_loaded_ = false;
  JobCache::Changes untold_;
  std::map<std::string, std::string> deployments_;  // app -> deployment, unfinished
  std::map<std::string, json::object> scales_;      // key of the lock -> its value
  std::atomic<std::size_t> deployments_running_{0};
};

}  // namespace flynn::controller
