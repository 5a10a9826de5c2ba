// flynn.database/1 on Redis.
#include <flynn/sdk/plugin.h>
#include <flynn/sdk/worker.h>

#include <memory>

#include "appliance.h"

namespace redis_appliance {
namespace {

using namespace flynn;
constexpr int kRegisterRetryMs = 500;

class RedisPlugin : public Plugin {
 public:
  explicit RedisPlugin(Host& table) : Plugin(table) {
    constexpr auto interface = "flynn.database/1";
    on(interface, "Provision", [this](Call& call) { return provision(call); });
    on(interface, "Deprovision", [this](Call& call) { return deprovision(call); });
    on(interface, "Status", [this](Call& call) { return status(call); });
    for (const char* method : {"Backup", "Restore", "Promote"})
      on(interface, method, [](Call&) -> Result<Reply> {
        return Error{Code::unimplemented, "this appliance does not do that: the data lies in the volume of its app"};
      });
  }

  Result<void> configure(const json::object& config) override {
    if (appliance_) return Error{Code::restart_required, "takes effect when the plugin is swapped"};
    auto info = host().info();
    if (!info) return info.error();
    Options options;
    options.memory_bytes = int_or(config, "memory_bytes", options.memory_bytes);
    options.provider_name = string_or(config, "provider_name", options.provider_name);
    options.slot = info->slot;
    appliance_ = std::make_unique<Appliance>(host(), options);
    return {};
  }

  // The controller may come later than we do, so registering goes on until it has worked.
  Result<void> activate() override {
    registering_.start("redis-register", [this](const StopSignal& stop) {
      while (!stop.asked() && !appliance_->register_provider(Deadline::after(std::chrono::seconds(10))))
        stop.wait(kRegisterRetryMs);
    });
    return {};
  }
  Result<void> quiesce() override {
    registering_.stop();
    return {};
  }
  Result<void> stop(Deadline) override {
    registering_.stop();
    return {};
  }

 private:
  Result<Reply> provision(Call& call) {
    auto server = appliance_->provision(call.deadline);
    if (!server) return server.error();
    host().info("redis_provisioned", {{"id", server->id}});
    return Reply{{{"id", server->id}, {"env", server->env}}};
  }

  Result<Reply> deprovision(Call& call) {
    auto id = require_string(call.body, "id");
    if (!id) return id.error();
    auto gone = appliance_->deprovision(*id, call.deadline);
    if (!gone) return gone.error();
    host().info("redis_deprovisioned", {{"id", *id}});
    return Reply{};
  }

  Result<Reply> status(Call& call) {
    auto servers = appliance_->count(call.deadline);
    if (!servers)
      return Reply{
          {{"state", "down"}, {"version", ""}, {"addr", ""}, {"databases", 0}, {"reason", servers.error().message}}};
    return Reply{{{"state", "up"}, {"version", ""}, {"addr", ""}, {"databases", *servers}}};
  }

  std::unique_ptr<Appliance> appliance_;
  Worker registering_;
};

}  // namespace
}  // namespace redis_appliance

using Redis = redis_appliance::RedisPlugin;
FLYNN_PLUGIN(Redis)
