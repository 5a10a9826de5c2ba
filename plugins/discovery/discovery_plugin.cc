// flynn.discovery/1 over the store.
#include <fstream>
#include <memory>
#include <sstream>

#include "dns_server.h"
#include "flynn/sdk/plugin.h"
#include "registration.h"
#include "wire.h"

namespace flynn::discovery {
namespace {

class DiscoveryPlugin : public Plugin {
 public:
  explicit DiscoveryPlugin(Host& host)
      : Plugin(host),
        store_(host),
        registration_(store_),
        wire_(registration_, registry_),
        mirror_(host, host, std::string(kServicesPrefix),
                {[this](const RangeResult& all) { registry_.replace(all); },
                 [this](std::int64_t, const std::vector<StoreEvent>& events) { registry_.apply(events); }}) {
    method("Register", &DiscoveryPlugin::add);
    method("Renew", &DiscoveryPlugin::renew);
    method("Deregister", &DiscoveryPlugin::remove);
    method("Services", &DiscoveryPlugin::services);
    method("Instances", &DiscoveryPlugin::instances);
    method("Watch", &DiscoveryPlugin::watch);
    method("SetLeader", &DiscoveryPlugin::set_leader);
    method("ServiceMeta", &DiscoveryPlugin::meta);
    method("SetServiceMeta", &DiscoveryPlugin::set_meta);
  }

  Result<void> configure(const json::object& config) override {
    if (configured_) return Error{Code::restart_required, "takes effect when the plugin is swapped"};
    configured_ = true;
    url_ = string_or(config, "http_url");
    dns_options_.address = string_or(config, "dns_address");
    dns_options_.port = static_cast<int>(int_or(config, "dns_port", 53));
    dns_options_.resolvers = strings_or_empty(config, "resolvers");
    if (dns_options_.resolvers.empty()) {
      std::ifstream file("/etc/resolv.conf");
      std::ostringstream text;
      text << file.rdbuf();
      dns_options_.resolvers = resolvers_of(text.str());
    }
    // In a swap the other instance works on while we read and make threads; nobody is answered before activate().
    mirror_.start("disc-mirror");
    prepare_dns();
    return prepare_wire();
  }

  Result<void> activate() override {
    wire_.activate();
    open_dns();
    return {};
  }

  // Names are answered on: that changes nothing, both instances know the same, and jobs would be refused meanwhile.
  Result<void> quiesce() override {
    wire_.quiesce();
    return {};
  }

  Result<void> stop(Deadline) override {
    dns_.reset();
    wire_.stop();
    mirror_.stop();
    registry_.close_watchers();
    return {};
  }

 private:
  // Without a socket in the configuration there is no HTTP, and calls work.
  Result<void> prepare_wire() {
    auto listening = host().listener("discovery.http");
    if (listening) return wire_.prepare(std::move(*listening), url_);
    if (listening.error().code != Code::not_found && listening.error().code != Code::permission_denied)
      return listening.error();
    host().info("http_off", {{"why", listening.error().message}});
    return {};
  }

  void prepare_dns() {
    if (dns_options_.address.empty()) return;
    dns_ = std::make_unique<DnsServer>(dns_options_,
                                       [this](const std::string& service) { return registry_.view(service); });
    if (auto prepared = dns_->prepare(); !prepared) give_up_dns(prepared.error());
  }

  void open_dns() {
    if (!dns_) return;
    if (auto opened = dns_->open(); !opened) give_up_dns(opened.error());
  }

  // Names are a convenience of jobs; calls must work without.
  void give_up_dns(const Error& error) {
    host().warn("dns_not_started", {{"error", error.message},
                                    {"effect", "jobs resolve no names; flynn plugin swap discovery tries again"}});
    dns_.reset();
  }

  void method(const char* name, Result<Reply> (DiscoveryPlugin::*function)(Call&)) {
    on("flynn.discovery/1", name, [this, function](Call& call) { return (this->*function)(call); });
  }

  Result<Reply> add(Call& call) {
    NewInstance instance;
    for (auto [member, place] :
         {std::pair{"service", &instance.service}, {"id", &instance.id}, {"addr", &instance.addr}}) {
      auto text = require_string(call.body, member);
      if (!text) return text.error();
      *place = std::move(*text);
    }
    instance.proto = string_or(call.body, "proto", "tcp");
    if (const auto* meta = find_object(call.body, "meta")) instance.meta = *meta;
    instance.ttl = std::chrono::milliseconds(int_or(call.body, "ttl_ms", 10'000));
    auto registered = registration_.add(instance);
    if (!registered) return registered.error();
    return Reply{{{"lease", registered->lease}, {"index", registered->index}}};
  }

  Result<Reply> renew(Call& call) {
    auto lease = require_string(call.body, "lease");
    if (!lease) return lease.error();
    auto renewed = registration_.renew(string_or(call.body, "service"), string_or(call.body, "id"), *lease);
    if (!renewed) return renewed.error();
    return Reply{};
  }

  Result<Reply> remove(Call& call) {
    auto removed = registration_.remove(string_or(call.body, "service"), string_or(call.body, "id"));
    if (!removed) return removed.error();
    return Reply{};
  }

  Result<Reply> services(Call&) {
    auto names = registration_.services();
    if (!names) return names.error();
    return Reply{{{"services", json::array(names->begin(), names->end())}}};
  }

  Result<Reply> instances(Call& call) {
    auto view = registration_.view(string_or(call.body, "service"));
    if (!view) return view.error();
    json::array list;
    for (const auto& instance : view->instances) list.push_back(to_json(instance));
    return Reply{
        {{"instances", std::move(list)}, {"leader", view->leader.empty() ? json::value() : json::value(view->leader)}}};
  }

  Result<Reply> watch(Call& call) {
    const auto service = string_or(call.body, "service");
    if (service != "*")
      if (auto checked = check_service(service); !checked) return checked.error();
    if (auto read = registry_.wait_read(Deadline::after(kReadMax)); !read) return read.error();
    auto stream = registry_.watch(service);
    if (!stream) return stream.error();
    return Reply{{}, std::move(*stream)};
  }

  Result<Reply> set_leader(Call& call) {
    auto set = registration_.set_leader(string_or(call.body, "service"), string_or(call.body, "id"));
    if (!set) return set.error();
    return Reply{};
  }

  Result<Reply> meta(Call& call) {
    auto found = registration_.meta(string_or(call.body, "service"));
    if (!found) return found.error();
    return Reply{{{"meta", found->meta}, {"index", found->index}}};
  }

  Result<Reply> set_meta(Call& call) {
    const auto* meta = call.body.if_contains("meta");
    if (meta == nullptr || !meta->is_object())
      return Error{Code::invalid_argument, "member \"meta\" must be an object"};
    auto set = registration_.set_meta(string_or(call.body, "service"), *meta, int_or(call.body, "index"));
    if (!set) return set.error();
    return Reply{{{"meta", set->meta}, {"index", set->index}}};
  }

  StoreClient store_;
  Registration registration_;
  Registry registry_;
  Wire wire_;
  StoreMirror mirror_;
  std::string url_;
  DnsServerOptions dns_options_;
  std::unique_ptr<DnsServer> dns_;
  bool configured_ = false;
};

}  // namespace
}  // namespace flynn::discovery

FLYNN_PLUGIN(flynn::discovery::DiscoveryPlugin)
