// Stand-ins for the world around a node that a scenario may need: the web server of an app, the root file system of a
// job. Both work; they only do little.
#pragma once

#include <string>

#include "flynn/sdk/json.h"
#include "flynn/sdk/worker.h"
#include "trial_node.h"

namespace flynn::authoring {

/// An HTTP server on a port of the loopback that answers each request with what it got: {"backend": its name, "method",
/// "target", "headers", "body"}. Thread: one of its own, until it goes.
class EchoBackend {
 public:
  /// An error: there is no port to be had.
  static Result<std::unique_ptr<EchoBackend>> start(const std::string& name);
  ~EchoBackend() { worker_.stop(); }
  std::string address() const;

 private:
  explicit EchoBackend(std::string name) : name_(std::move(name)) {}
  void serve(const StopSignal& stop);
  void answer(int fd) const;

  std::string name_;
  UniqueFd listening_;
  Worker worker_;
};

/// Puts a root file system with /bin/busybox and /bin/sh (busybox) into the blobstore of the trial, as layers are kept,
/// and returns the Layer {"id", "length"} (docs/state.md). failed_precondition: this machine lacks busybox or
/// mksquashfs, or the trial a blobstore.
Result<json::object> given_layer(TrialNode& trial);

}  // namespace flynn::authoring
