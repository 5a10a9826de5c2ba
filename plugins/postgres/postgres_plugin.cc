// flynn.database/1 on PostgreSQL.
#include <memory>

#include "appliance.h"
#include "flynn/sdk/plugin.h"
#include "flynn/sdk/worker.h"

namespace flynn::postgres {
namespace {

constexpr int kRegisterRetryMs = 500, kConnectRetryMs = 200;

class PostgresPlugin : public Plugin {
 public:
  explicit PostgresPlugin(Host& host) : Plugin(host) {
    constexpr auto interface = "flynn.database/1";
    on(interface, "Provision", [this](Call& call) { return provision(call); });
    on(interface, "Deprovision", [this](Call& call) { return deprovision(call); });
    on(interface, "Status", [this](Call& call) { return status(call); });
    for (const char* method : {"Backup", "Restore"})
      on(interface, method, [](Call&) -> Result<Reply> {
        return Error{Code::unimplemented, "dump and restore with: flynn -a APP pg dump | pg restore"};
      });
    on(interface, "Promote", [](Call&) -> Result<Reply> {
      return Error{Code::unimplemented, "there is one server and no standby to promote"};
    });
  }

  Result<void> configure(const json::object& config) override {
    if (appliance_) return Error{Code::restart_required, "takes effect when the plugin is swapped"};
    ApplianceOptions options;
    options.memory_bytes = int_or(config, "memory_bytes", options.memory_bytes);
    options.max_connections = static_cast<int>(int_or(config, "max_connections", options.max_connections));
    options.provider_name = string_or(config, "provider_name", options.provider_name);
    appliance_ = std::make_unique<Appliance>(host(), std::move(options));
    return {};
  }

  // The controller may come later than we do, so registering goes on until it has worked.
  Result<void> activate() override {
    registering_.start("pg-register", [this](const StopSignal& stop) {
      bool told = false;
      while (!stop.asked()) {
        auto registered = appliance_->register_provider(Deadline::after(10s));
        if (registered) return;
        if (!std::exchange(told, true))
          host().warn("provider_not_registered_yet", {{"error", registered.error().message}});
        stop.wait(kRegisterRetryMs);
      }
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
  // A server that was just started accepts connections before it takes sessions ("the database system is starting up").
  static Result<DatabaseAdmin> connect_patiently(const ServerAddress& server, Deadline deadline) {
    const StopSignal never;
    while (true) {
      auto admin = DatabaseAdmin::connect(server, deadline);
      if (admin || admin.error().code != Code::unavailable || deadline.left_ms() < kConnectRetryMs) return admin;
      never.wait(kConnectRetryMs);
    }
  }

  Result<Reply> provision(Call& call) {
    auto server = appliance_->ensure_server(call.deadline);
    if (!server) return server.error().context("start PostgreSQL");
    auto admin = connect_patiently(*server, call.deadline);
    if (!admin) return admin.error();
    const auto credentials = new_credentials();
    if (auto created = admin->create(credentials); !created) return created.error();
    host().info("database_provisioned", {{"id", credentials.id}});
    return Reply{{{"id", credentials.id}, {"env", environment_of(credentials)}}};
  }

  Result<Reply> deprovision(Call& call) {
    auto id = require_string(call.body, "id");
    if (!id) return id.error();
    if (auto checked = check_id(*id); !checked) return checked.error();
    auto server = appliance_->ensure_server(call.deadline);
    if (!server) return server.error().context("start PostgreSQL");
    auto admin = connect_patiently(*server, call.deadline);
    if (!admin) return admin.error();
    if (auto dropped = admin->drop(*id); !dropped) return dropped.error();
    host().info("database_deprovisioned", {{"id", *id}});
    return Reply{};
  }

  Result<Reply> status(Call& call) {
    auto server = appliance_->find_server(call.deadline);
    if (!server)
      return Reply{
          {{"state", "down"}, {"version", ""}, {"addr", ""}, {"databases", 0}, {"reason", server.error().message}}};
    const std::string addr = server->host + ":" + std::to_string(server->port);
    auto admin = DatabaseAdmin::connect(*server, call.deadline);
    auto facts = admin ? admin->facts() : Result<ServerFacts>(admin.error());
    if (!facts)
      return Reply{{{"state", "starting"},
                    {"version", ""},
                    {"addr", addr},
                    {"databases", 0},
                    {"reason", facts.error().message}}};
    return Reply{{{"state", "up"}, {"version", facts->version}, {"addr", addr}, {"databases", facts->databases}}};
  }

  std::unique_ptr<Appliance> appliance_;
  Worker registering_;
};

}  // namespace
}  // namespace flynn::postgres

FLYNN_PLUGIN(flynn::postgres::PostgresPlugin)
