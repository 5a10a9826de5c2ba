#include "plugin/live_table.h"

#include <algorithm>
#include <set>
#include <utility>

namespace flynn::router {
namespace {

constexpr std::string_view kRoutesPrefix = "routes/http/";
constexpr std::string_view kAppsPrefix = "controller/apps/";

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
  const auto parent = string_or(*document, "parent_ref");
  if (parent.starts_with(kAppsPrefix)) route.app_id = parent.substr(kAppsPrefix.size());
  return route;
}

}  // namespace

LiveTable::LiveTable(Publish publish) : publish_(std::move(publish)), table_(builder_.publish()) {}

void LiveTable::publish_locked() {
  table_ = builder_.publish();
  publish_(table_);
}

void LiveTable::replace_routes(const RangeResult& all) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> wanted;
  for (const auto& kv : all.kvs) {
    if (!kv.key.starts_with(kRoutesPrefix)) continue;
    auto route = parse_route(kv);
    wanted.insert(route.id);
    builder_.put_route(std::move(route));
  }
  for (const auto& id : builder_.route_ids())
    if (!wanted.contains(id)) builder_.remove_route(id);
  routes_known_ = true;
  publish_locked();
}

void LiveTable::change_routes(const std::vector<StoreEvent>& events) {
  const std::lock_guard lock(mutex_);
  for (const auto& event : events) {
    if (!event.kv.key.starts_with(kRoutesPrefix)) continue;
    auto route = parse_route(event.kv);
    if (event.kind == EventKind::erase)
      builder_.remove_route(route.id);
    else
      builder_.put_route(std::move(route));
  }
  publish_locked();
}

void LiveTable::replace_instances(const std::vector<InstanceNews>& all) {
  const std::lock_guard lock(mutex_);
  std::set<std::pair<std::string, std::string>> wanted;
  for (const auto& news : all) {
    wanted.emplace(news.service, news.id);
    builder_.put_backend(news.service, news.id, news.addr);
  }
  for (const auto& known : builder_.backend_ids())
    if (!wanted.contains(known)) builder_.remove_backend(known.first, known.second);
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
