// PushSession: the plugin's side of one connection, by SSH or HTTP: knows keys and apps, runs git, answers the hook
// with a build.
#pragma once

#include "build_config.h"
#include "flynn/sdk/host.h"
#include "flynn/sdk/worker.h"
#include "pipeline.h"
#include "process/child.h"
#include "session/wire.h"

namespace flynn::builder {

/// Thread: its own, from serve() to its end. Borrows everything.
enum class Transport { ssh, http };

class PushSession {
 public:
  PushSession(Transport transport, Door& door, Log& log, Pipeline& pipeline, const BuildConfig& config,
              const StopSignal& stop)
      : transport_(transport), door_(door), log_(log), pipeline_(pipeline), config_(config), stop_(stop) {}
  /// Starts the session process on `connection` and serves it until it ends.
  void serve(UniqueFd connection);

 private:
  Result<void> start_process(UniqueFd connection);
  Result<void> handle(const json::object& request);
  Result<void> answer_key(const std::string& blob);
  Result<void> answer_password(const json::object& request);
  Result<void> start_receive(const json::object& request);
  Result<std::string> find_app(const std::string& name);
  void answer_hook(const json::object& push);
  Result<BuildOutcome> build_push(const std::string& commit, const std::string& ref, const std::string& quarantine);
  void print(std::string_view line);
  Cancel cancel() const { return {{control_.get()}, stop_.fd()}; }

  const Transport transport_;
  Door& door_;
  Log& log_;
  Pipeline& pipeline_;
  const BuildConfig& config_;
  const StopSignal& stop_;
  process::Child process_, git_;
  UniqueFd control_, hook_;
  std::string app_id_, app_name_;
  std::chrono::steady_clock::time_point receive_start_;
};

}  // namespace flynn::builder
