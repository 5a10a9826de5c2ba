// The plugin: lifecycle, and the methods of flynn.router/1.
#include <memory>
#include <string>

#include "engine/data_plane.h"
#include "flynn/sdk/plugin.h"
#include "plugin/instance_watch.h"
#include "plugin/live_table.h"
#include "plugin/log_shipper.h"
#include "plugin/moving_document.h"
#include "plugin/route_certificates.h"
#include "plugin/tcp_ports.h"
#include "tls/tls_gate.h"

namespace flynn::router {
namespace {

constexpr auto kWarmUp = 3s;
constexpr int kWarmUpStepMs = 5;
constexpr auto kGateFlush = 500ms;

json::array backends_of(const RouteTable& table, std::string_view service) {
  json::array all;
  if (const Service* found = table.service(service))
    for (const auto& backend : found->backends) all.emplace_back(backend->addr);
  return all;
}

Settings read_settings(const json::object& config) {
  Settings settings;
  const auto set = [&](const char* key, std::uint32_t& value) {
    value = static_cast<std::uint32_t>(int_or(config, key, value));
  };
  settings.threads = static_cast<unsigned>(int_or(config, "threads", 0));
  set("head_timeout_ms", settings.head_timeout_ms);
  set("client_idle_timeout_ms", settings.client_idle_timeout_ms);
  set("upstream_idle_timeout_ms", settings.upstream_idle_timeout_ms);
  set("connect_timeout_ms", settings.connect_timeout_ms);
  set("stream_timeout_ms", settings.stream_timeout_ms);
  set("tunnel_timeout_ms", settings.tunnel_timeout_ms);
  set("wait_backend_ms", settings.wait_backend_ms);
  set("half_closed_idle_ms", settings.half_closed_idle_ms);
  set("drain_idle_ms", settings.drain_idle_ms);
  settings.trust_forwarded = bool_or(config, "trust_forwarded");
  settings.log_requests = bool_or(config, "access_log", true);
  return settings;
}

class RouterPlugin : public Plugin {
 public:
  explicit RouterPlugin(Host& host) : Plugin(host) {
    on("flynn.router/1", "Routes", [this](Call& call) { return routes(string_or(call.body, "type")); });
    on("flynn.router/1", "Stats", [this](Call&) { return stats(); });
    on("flynn.router/1", "Check", [this](Call& call) { return check(call.body); });
    on("flynn.plugin/1", "Figures", [this](Call&) { return figures(); });
  }

  Result<void> configure(const json::object& config) override {
    if (plane_) return Error{Code::restart_required, "the router takes a new configuration by a swap"};
    settings_ = read_settings(config);
    return {};
  }

  Result<void> start() override {
    plane_ = std::make_unique<DataPlane>();
    if (const auto failure = plane_->start(settings_); !failure.empty()) return Error{Code::unavailable, failure};
    ports_ =
        std::make_unique<TcpPorts>([this](const std::string& name) { return host().listener(name); }, host(), *plane_);
    table_ = std::make_unique<LiveTable>([this](const auto& table) { plane_->set_table(table); },
                                         [this](auto routes) { ports_->set_routes(std::move(routes)); });
    mirror_ = std::make_unique<StoreMirror>(host(), host(), "routes/",
                                            StoreMirrorHandler{[this](const RangeResult& all) {
                                                                 replace_certificates(certificates_, all, host());
                                                                 table_->replace_routes(all);
                                                               },
                                                               [this](std::int64_t, const auto& events) {
                                                                 change_certificates(certificates_, events, host());
                                                                 table_->change_routes(events);
                                                               }});
    watch_ = std::make_unique<InstanceWatch>(host(), host(), *table_);
    ports_->start("router.ports");
    mirror_->start("router.routes");
    watch_->start("router.watch");
    // A new version that knew nothing yet would answer 404. At a first boot the sources may come later: go on then.
    const auto warm = Deadline::after(kWarmUp);
    const StopSignal never;
    while (!warm.passed() && !(table_->has_routes() && table_->has_instances())) never.wait(kWarmUpStepMs);
    if (settings_.log_requests) {
      shipper_ = std::make_unique<LogShipper>(host(), host(), *plane_);
      shipper_->start("router.log");
    }
    return {};
  }

  Result<void> health() override {
    if (!table_ || !table_->has_routes())
      return Error{Code::unavailable, "the routes have not been read from the store yet"};
    if (!table_->has_instances()) return Error{Code::unavailable, "discovery has not told its instances yet"};
    return {};
  }

  Result<void> activate() override {
    auto listener = host().listener("router.http");
    if (!listener) return listener.error().context("accept requests");
    if (const auto failure = plane_->accept(listener->get()); !failure.empty())
      return Error{Code::unavailable, failure};
    ports_->open();
    return accept_tls();
  }

  Result<void> quiesce() override {
    if (gate_) gate_->stop_accepting();
    ports_->close();
    plane_->stop_accepting();
    return {};
  }

  Result<Reply> hand_over(unsigned share_permille, Deadline deadline) override {
    if (!plane_) return not_started();
    auto batch = plane_->hand_over(share_permille, deadline.ns);
    return write_moving(std::move(batch), plane_->port());
  }

  Result<void> take_over(Call& call) override {
    if (!plane_) return not_started().error();
    auto list = read_moving(call);
    if (!list) return list.error();
    const auto failure = plane_->take_over(std::move(list->connections), list->port);
    if (!failure.empty()) return Error{Code::resource_exhausted, failure};
    return {};
  }

  Result<void> drain(Deadline deadline) override {
    const auto before = plane_->totals();
    const bool drained = plane_->drain(deadline.ns);
    // What the plane has answered may still be on its way out.
    if (gate_) gate_->wait_until_empty(std::max(deadline.ns, Deadline::after(kGateFlush).ns));
    if (!drained)
      host().warn("drain_cut_off", {{"connections_before", before.connections}, {"tunnels_before", before.tunnels}});
    return {};
  }

  Result<void> stop(Deadline) override {
    if (shipper_) shipper_->stop();
    gate_.reset();
    watch_.reset();
    mirror_.reset();
    ports_.reset();
    if (plane_) plane_->stop();
    if (shipper_) shipper_->ship();  // what was told at the very end: connections that were cut off
    shipper_.reset();
    plane_.reset();
    table_.reset();
    return {};
  }

 private:
  // Without the socket in the configuration there is no HTTPS.
  Result<void> accept_tls() {
    auto listener = host().listener("router.https");
    if (!listener) return {};
    plane_->set_secure_port(port_of(listener->get()));
    if (!gate_)
      gate_ = std::make_unique<TlsGate>(certificates_, static_cast<unsigned>(plane_->threads()),
                                        [this](UniqueFd plain, const std::string& ip, std::shared_ptr<SecureEnd> end) {
                                          plane_->admit(std::move(plain), ip, std::move(end));
                                        });
    return gate_->accept(listener->get());
  }

  Result<Reply> not_started() const { return Error{Code::unavailable, "the router has not been started"}; }

  Result<Reply> routes(const std::string& type) {
    if (!table_) return not_started();
    const auto table = table_->table();
    json::array all;
    for (const auto& route : type == "tcp" ? std::vector<Route>() : table->routes())
      all.push_back({{"id", route.id},
                     {"domain", route.domain},
                     {"path", route.path},
                     {"service", route.service},
                     {"sticky", route.sticky},
                     {"backends", backends_of(*table, route.service)}});
    json::array tcp;
    for (const auto& port : ports_->state()) {
      json::object one{{"id", port.route.id},
                       {"port", port.route.port},
                       {"service", port.route.target.service},
                       {"leader", port.route.target.leader},
                       {"open", port.open},
                       {"backends", backends_of(*table, port.route.target.service)}};
      if (!port.error.empty()) one["error"] = port.error;
      tcp.push_back(std::move(one));
    }
    return Reply{{{"routes", std::move(all)}, {"tcp_routes", std::move(tcp)}}};
  }

  Result<Reply> stats() {
    if (!plane_) return not_started();
    const auto totals = plane_->totals();
    json::object responses;
    for (std::size_t hundred = 1; hundred < totals.responses.size(); ++hundred)
      responses[std::to_string(hundred) + "xx"] = totals.responses[hundred];
    return Reply{{{"connections", totals.connections},
                  {"requests", totals.requests},
                  {"responses", std::move(responses)},
                  {"upstream_errors", totals.upstream_errors},
                  {"upstream_connects", totals.upstream_connects},
                  {"tunnels", totals.tunnels},
                  {"tcp_served", totals.tcp_served},
                  {"tcp", json::object{{"open", totals.tcp_open},
                                       {"served", totals.tcp_served},
                                       {"no_instance", totals.tcp_no_instance},
                                       {"resets", totals.tcp_resets},
                                       {"timeouts", totals.tcp_timeouts},
                                       {"bytes_in", totals.tcp_bytes_in},
                                       {"bytes_out", totals.tcp_bytes_out}}},
                  {"bytes_in", totals.bytes_in},
                  {"bytes_out", totals.bytes_out},
                  {"log_lines_dropped", totals.log_lines_dropped},
                  {"threads", plane_->threads()}}};
  }

  // For a comparison of two versions under the same clients: what the router had to answer itself counts as failed, as
  // does a TCP connection that reached no instance; an app's own error answer does not.
  Result<Reply> figures() {
    if (!plane_) return not_started();
    const auto totals = plane_->totals();
    std::uint64_t answered = totals.tcp_served;
    for (const auto responses : totals.responses) answered += responses;
    return Reply{{{"served", answered},
                  {"failed", totals.made_errors},
                  {"latency_us_sum", totals.latency_ms * 1000},
                  {"connections", totals.connections}}};
  }

  Result<Reply> check(const json::object& body) {
    if (!table_) return not_started();
    auto domain = require_string(body, "domain");
    if (!domain) return domain.error();
    const auto table = table_->table();
    const Route* route = table->find(*domain, string_or(body, "path", "/"));
    if (route == nullptr) return Reply{{{"route_id", nullptr}, {"backends", json::array{}}}};
    return Reply{{{"route_id", route->id}, {"backends", backends_of(*table, route->service)}}};
  }

  Settings settings_;
  std::unique_ptr<DataPlane> plane_;
  Certificates certificates_;
  std::unique_ptr<TlsGate> gate_;
  std::unique_ptr<TcpPorts> ports_;
  std::unique_ptr<LiveTable> table_;
  std::unique_ptr<StoreMirror> mirror_;
  std::unique_ptr<InstanceWatch> watch_;
  std::unique_ptr<LogShipper> shipper_;
};

}  // namespace
}  // namespace flynn::router

using FlynnRouter = flynn::router::RouterPlugin;
FLYNN_PLUGIN(FlynnRouter)
