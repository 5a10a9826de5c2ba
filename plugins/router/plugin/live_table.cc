#include "plugin/live_table.h"

#include <algorithm>
#include <set>
#include <utility>

namespace flynn::router {
namespace {

constexpr std::string_view kRoutesPrefix = "routes/http/";
constexpr std::string_view kTcpPrefix = "routes/tcp/";
constexpr std::int64_t kPortMax = 65'535;
constexpr std::string_view kAppsPrefix = "controller/apps/";

std::string app_of(const json::object& route) {
  const auto parent = string_or(route, "parent_ref");
  return parent.starts_with(kAppsPrefix) ? parent.substr(kAppsPrefix.size()) : "";
}

Route parse_route(const KeyValue& kv) {
  Route route;
  route.id = kv.key.substr(std::min(kRoutesPrefix.size(), kv.key.size()));
  const auto* document = kv.value.if_object();
  if (document == nullptr) return route;
  route.domain = string_or(*document, "domain");
  route.path = string_or(*document, "path", "/");
  route.service = string_or(*document, "service");
  route.sticky = bool_or(*document, "sticky");
  route.maintenance = bool_or(*document, "maintenance");
  route.leader = bool_or(*document, "leader");
  route.app_id = app_of(*document);
  return route;
}

}  // namespace

LiveTable::LiveTable(Publish publish, PublishTcp publish_tcp)
    : publish_(std::move(publish)), publish_tcp_(std::move(publish_tcp)), table_(builder_.publish()) {}

// One that can't be understood is as good as gone.
void LiveTable::put_tcp(const KeyValue& kv) {
  auto id = kv.key.substr(kTcpPrefix.size());
  const auto* document = kv.value.if_object();
  const auto port = document == nullptr ? 0 : int_or(*document, "port");
  if (port < 1 || port > kPortMax || string_or(*document, "service").empty()) {
    tcp_.erase(id);
    return;
  }
  TcpTarget target{string_or(*document, "service"), bool_or(*document, "leader"), id, app_of(*document),
                   static_cast<int>(port)};
  tcp_[id] = {id, static_cast<int>(port), std::move(target)};
}

void LiveTable::publish_tcp_locked() {
  std::vector<TcpRoute> all;
  for (const auto& [id, route] : tcp_) all.push_back(route);
  publish_tcp_(std::move(all));
}

void LiveTable::publish_locked() {
  table_ = builder_.publish();
  publish_(table_);
}

void LiveTable::replace_routes(const RangeResult& all) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> wanted;
  tcp_.clear();
  for (const auto& kv : all.kvs) {
    if (kv.key.starts_with(kTcpPrefix)) put_tcp(kv);
    if (!kv.key.starts_with(kRoutesPrefix)) continue;
    auto route = parse_route(kv);
    wanted.insert(route.id);
    builder_.put_route(std::move(route));
  }
  for (const auto& id : builder_.route_ids())
    if (!wanted.contains(id)) builder_.remove_route(id);
  publish_locked();
  publish_tcp_locked();
  routes_known_ = true;
}

void LiveTable::change_routes(const std::vector<StoreEvent>& events) {
  const std::lock_guard lock(mutex_);
  bool tcp = false;
  for (const auto& event : events) {
    if (event.kv.key.starts_with(kTcpPrefix)) {
      tcp = true;
      if (event.kind == EventKind::erase)
        tcp_.erase(event.kv.key.substr(kTcpPrefix.size()));
      else
        put_tcp(event.kv);
    }
    if (!event.kv.key.starts_with(kRoutesPrefix)) continue;
    auto route = parse_route(event.kv);
    if (event.kind == EventKind::erase)
      builder_.remove_route(route.id);
    else
      builder_.put_route(std::move(route));
  }
  publish_locked();
  if (tcp) publish_tcp_locked();
}

void LiveTable::replace_instances(const std::vector<InstanceNews>& all, const std::vector<LeaderNews>& leaders) {
  const std::lock_guard lock(mutex_);
  std::set<std::pair<std::string, std::string>> wanted;
  for (const auto& news : all) {
    wanted.emplace(news.service, news.id);
    builder_.put_backend(news.service, news.id, news.addr);
  }
  for (const auto& known : builder_.backend_ids())
    if (!wanted.contains(known)) builder_.remove_backend(known.first, known.second);
  std::set<std::string> led;
  for (const auto& news : leaders) {
    led.insert(news.service);
    builder_.set_leader(news.service, news.id);
  }
  for (const auto& service : builder_.led_services())
    if (!led.contains(service)) builder_.set_leader(service, "");
  instances_known_ = true;
  publish_locked();
}

void LiveTable::change_instance(const InstanceNews& news) {
  const std::lock_guard lock(mutex_);
  if (news.up)
    builder_.put_backend(news.service, news.id, news.addr);
  else
    builder_.remove_backend(news.service, news.id);
  publish_locked();
}

void LiveTable::change_leader(const LeaderNews& news) {
  const std::lock_guard lock(mutex_);
  builder_.set_leader(news.service, news.id);
  publish_locked();
}

std::shared_ptr<const RouteTable> LiveTable::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

bool LiveTable::has_routes() const {
  const std::lock_guard lock(mutex_);
  return routes_known_;
}

bool LiveTable::has_instances() const {
  const std::lock_guard lock(mutex_);
  return instances_known_;
}

}  // namespace flynn::router
