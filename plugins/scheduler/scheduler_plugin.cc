// The plugin: flynn.scheduler/1.
#include "flynn/sdk/plugin.h"
#include "scheduler.h"

namespace flynn::scheduler {
namespace {

constexpr const char* kInterface = "flynn.scheduler/1";

Result<Reply> reply_of(Result<json::object> document) {
  if (!document) return document.error();
  return Reply{std::move(*document)};
}

class SchedulerPlugin : public Plugin {
 public:
  explicit SchedulerPlugin(Host& plugin_host) : Plugin(plugin_host) {
    on(kInterface, "Run", [this](Call& call) { return reply_of(scheduler_->run(call.body, call.deadline)); });
    on(kInterface, "Commit", [this](Call& call) { return reply_of(scheduler_->commit(call.body, call.deadline)); });
    on(kInterface, "Stop", [this](Call& call) { return reply_of(scheduler_->stop_job(call.body, call.deadline)); });
    on(kInterface, "Cell", [this](Call&) { return reply_of(scheduler_->cell()); });
    on(kInterface, "Explain", [this](Call& call) { return reply_of(scheduler_->explain(call.body)); });
  }

  Result<void> configure(const json::object& config) override {
    options_.plan.host_grace_ms = int_or(config, "host_grace_ms", options_.plan.host_grace_ms);
    options_.overcommit.memory_percent = static_cast<int>(int_or(config, "memory_overcommit_percent", 400));
    options_.overcommit.cpu_percent = static_cast<int>(int_or(config, "cpu_overcommit_percent", 1600));
    if (scheduler_) return scheduler_->configure(options_), Result<void>();
    auto info = host().info();
    if (!info) return info.error();
    scheduler_ = std::make_unique<Scheduler>(host(), host(), options_, info->node);
    scheduler_->start();  // it only reads: a swap does not wait for that
    return {};
  }

  Result<void> import_state(Call& lead) override { return scheduler_->take_over(lead.body), Result<void>(); }
  Result<void> start() override { return scheduler_->start(), Result<void>(); }
  Result<void> health() override { return scheduler_->health(); }
  Result<void> activate() override { return scheduler_->activate(), Result<void>(); }
  Result<void> quiesce() override { return scheduler_->quiesce(), Result<void>(); }
  Result<Reply> export_state() override { return Reply{scheduler_->hand_over()}; }
  Result<void> stop(Deadline) override {
    if (scheduler_) scheduler_->stop();
    return {};
  }

 private:
  SchedulerOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace
}  // namespace flynn::scheduler

FLYNN_PLUGIN(flynn::scheduler::SchedulerPlugin)
