// BuildCalls: builds asked for by the method Build, each streamed to its caller.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>

#include "flynn/sdk/call.h"
#include "flynn/sdk/worker.h"
#include "pipeline.h"

namespace flynn::builder {

/// Thread: build() [any]; drain and stop [control].
class BuildCalls {
 public:
  explicit BuildCalls(Pipeline& pipeline) : pipeline_(pipeline) {}
  ~BuildCalls() { stop(); }
  Result<Reply> build(Call& call);
  void drain(Deadline deadline);
  void stop();

 private:
  struct Running {
    Worker worker;
    std::atomic<bool> ended{false};
  };
  Pipeline& pipeline_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Running>> running_;
  StopSignal pause_;
};

}  // namespace flynn::builder
