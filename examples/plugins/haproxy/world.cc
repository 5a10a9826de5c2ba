#include "world.h"

namespace haproxy_router {
namespace {

constexpr std::string_view kPrefix = "routes/http/";

Route route_of(const flynn::KeyValue& kv) {
  Route route;
  route.id = kv.key.substr(kPrefix.size());
  if (const auto* document = kv.value.if_object()) {
    route.domain = flynn::string_or(*document, "domain");
    route.path = flynn::string_or(*document, "path", "/");
    route.service = flynn::string_or(*document, "service");
  }
  return route;
}

}  // namespace

void World::replace_routes(const flynn::RangeResult& all) {
  {
    const std::lock_guard lock(mutex_);
    view_.routes.clear();
    for (const auto& kv : all.kvs) view_.routes[kv.key.substr(kPrefix.size())] = route_of(kv);
    view_.routes_known = true;
  }
  changed_.ask();
}

void World::change_routes(const std::vector<flynn::StoreEvent>& events) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& event : events) {
      auto route = route_of(event.kv);
      if (event.kind == flynn::EventKind::erase)
        view_.routes.erase(route.id);
      else
        view_.routes[route.id] = route;
    }
  }
  changed_.ask();
}

void World::replace_instances(Instances all) {
  {
    const std::lock_guard lock(mutex_);
    view_.instances = std::move(all);
    view_.instances_known = true;
  }
  changed_.ask();
}

void World::change_instance(const std::string& service, const std::string& id, const std::string& addr) {
  {
    const std::lock_guard lock(mutex_);
    if (addr.empty())
      view_.instances[service].erase(id);
    else
      view_.instances[service][id] = addr;
  }
  changed_.ask();
}

World::View World::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

}  // namespace haproxy_router
