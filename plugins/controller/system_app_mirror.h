/// Keeps the system apps true: one thread that follows flynn.node/1's Watch, mirrors what runs into apps and releases,
/// and moves the deployments of plugins on.
///
/// It works inside the gate. It keeps nothing that is not in the store, so the next instance goes on where this one
/// stopped. Thread: start and stop [control]; wake [any].
#pragma once

#include <optional>

#include "context.h"
#include "flynn/sdk/stream.h"
#include "flynn/sdk/worker.h"

namespace flynn::controller {

class SystemAppMirror {
 public:
  explicit SystemAppMirror(Context& context);

  void start();
  void stop() { worker_.stop(); }
  /// A deployment of a plugin was asked for, or the gate was opened.
  void wake();

 private:
  void run(const StopSignal& stop);
  /// False when it must be tried again soon.
  bool round();
  bool tend_all();
  void follow();
  /// Until something happens, or the pause is over.
  void wait(const StopSignal& stop, std::chrono::milliseconds pause);

  Context& context_;
  UniqueFd wake_fd_;
  std::optional<LineReader> watch_;
  bool told_of_failure_ = false;
  Worker worker_;
};

}  // namespace flynn::controller
