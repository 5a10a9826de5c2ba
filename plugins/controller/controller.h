/// The whole component without the plugin around it: what a test starts, and what the plugin starts.
///
/// Order: start -> activate -> quiesce -> (resume | drain -> stop). Thread: [control] unless said otherwise.
#pragma once

#include <memory>

#include "api.h"
#include "reconciler.h"
#include "store_follower.h"
#include "system_app_mirror.h"
#include "task_queue.h"
#include "wire.h"

namespace flynn::controller {

class Controller {
 public:
  Controller(Door& door, Log& log, Settings settings, ListenerOptions listener = {},
             std::chrono::milliseconds keep_alive = std::chrono::seconds(30));
  ~Controller();

  /// Begins all threads; they watch, and act on nothing before activate().
  Result<void> start();
  /// Everything that costs time before activate(): `listening` is ours from here, connections come from there on.
  Result<void> prepare(UniqueFd listening);
  Result<void> activate();
  /// When it returns, nothing acts of its own accord any more until activate(); the threads stay.
  void quiesce();
  void drain(std::chrono::steady_clock::time_point deadline);
  void stop();

  /// What HTTP would answer to an administrator. [any]
  HttpResponse dispatch(const HttpRequest& request) { return api_.dispatch(request); }
  /// Nothing when `who` may send such a request; else what HTTP would answer. [any]
  Verdict check(const Identity& who, const HttpRequest& request) { return api_.check(who, request); }
  Result<json::object> status();  // [any]
  Context& context() { return context_; }

 private:
  void tick();
  void look_for_deletions();
  void register_service();

  Context context_;
  StreamPump pump_;
  Api api_;
  HttpListener listener_;
  StoreFollower events_, formations_, deletions_;
  StoreMirror jobs_mirror_;
  TaskQueue tasks_;
  Reconciler reconciler_;
  SystemAppMirror system_apps_;
  std::string lease_;  // of the registration; the reconciler's thread only
  std::atomic<bool> register_anew_{false}, bootstrapped_{false}, bootstrapping_{false};
};

}  // namespace flynn::controller
