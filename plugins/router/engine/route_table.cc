#include "engine/route_table.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "http/chars.h"

namespace flynn::router {
namespace {

constexpr std::size_t kDomainBytesMax = 253;
constexpr int kParentsMax = 5;  // as in Flynn: deeper names have no wildcard

std::size_t shard_of(std::string_view name) { return std::hash<std::string_view>{}(name) >> 7 & 255; }

// Stable across processes and versions: the cookie of one router is understood by the next. (FNV-1a)
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string lowercase(std::string_view text) {
  std::string out(text);
  for (auto& c : out) c = lower(c);
  return out;
}

bool path_matches(std::string_view route, std::string_view path) {
  // Stored with a trailing slash: "/api/" takes "/api" and "/api/x", not "/apix".
  if (route.size() <= 1) return true;
  const auto stem = route.ends_with('/') ? route.substr(0, route.size() - 1) : route;
  return path.starts_with(stem) && (path.size() == stem.size() || path[stem.size()] == '/');
}

bool parse_address(const std::string& addr, sockaddr_storage& out, socklen_t& size) {
  const auto colon = addr.rfind(':');
  if (colon == std::string::npos) return false;
  std::uint16_t port = 0;
  const char* end = addr.data() + addr.size();
  const auto parsed = std::from_chars(addr.data() + colon + 1, end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end || port == 0) return false;
  auto host = addr.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    size = sizeof v6;
    return ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) == 1;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(out);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  size = sizeof v4;
  return ::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1;
}

}  // namespace

const Route* RouteTable::find_domain(std::string_view domain, std::string_view path) const {
  const auto& shard = domains_[shard_of(domain)];
  if (!shard) return nullptr;
  const auto found = shard->find(domain);
  if (found == shard->end()) return nullptr;
  for (const auto& route : found->second)
    if (path_matches(route.path, path)) return &route;
  return nullptr;
}

const Route* RouteTable::find(std::string_view host, std::string_view path) const {
  // Two bytes in front leave room for "*." whatever suffix follows.
  char buffer[kDomainBytesMax + 2];
  if (host.size() > kDomainBytesMax) return nullptr;
  if (host.ends_with('.')) host.remove_suffix(1);
  char* name = buffer + 2;
  for (std::size_t i = 0; i < host.size(); ++i) name[i] = lower(host[i]);
  std::string_view rest(name, host.size());
  if (const Route* route = find_domain(rest, path)) return route;
  for (int parents = 0; parents < kParentsMax; ++parents) {
    const auto dot = rest.find('.');
    if (dot == std::string_view::npos || dot + 1 == rest.size()) break;
    rest.remove_prefix(dot + 1);
    // The label before the suffix has been looked at, so its last byte may be written over; the dot stays.
    char* wildcard = name + (rest.data() - name) - 2;
    wildcard[0] = '*';
    if (const Route* route = find_domain({wildcard, rest.size() + 2}, path)) return route;
  }
  return find_domain("*", path);
}

const Service* RouteTable::service(std::string_view name) const {
  const auto& shard = services_[shard_of(name)];
  if (!shard) return nullptr;
  const auto found = shard->find(name);
  return found == shard->end() ? nullptr : &found->second;
}

std::vector<Route> RouteTable::routes() const {
  std::vector<Route> all;
  for (const auto& shard : domains_) {
    if (!shard) continue;
    for (const auto& [domain, routes] : *shard) all.insert(all.end(), routes.begin(), routes.end());
  }
  std::sort(all.begin(), all.end(), [](const Route& a, const Route& b) { return a.id < b.id; });
  return all;
}

namespace {

// A shard that a published table shares is copied before it is changed.
template <typename Map>
Map& own(std::shared_ptr<Map>& shard) {
  if (!shard)
    shard = std::make_shared<Map>();
  else if (shard.use_count() > 1)
    shard = std::make_shared<Map>(*shard);
  // Pairs with the release of the last published table, which another thread may just have dropped.
  std::atomic_thread_fence(std::memory_order_acquire);
  return *shard;
}

}  // namespace

RouteTable::Domains& RouteTableBuilder::own_domains(std::string_view domain) {
  return own(table_.domains_[shard_of(domain)]);
}

RouteTable::Services& RouteTableBuilder::own_services(std::string_view service) {
  return own(table_.services_[shard_of(service)]);
}

void RouteTableBuilder::put_route(Route route) {
  remove_route(route.id);
  route.domain = lowercase(route.domain);
  if (route.path.empty()) route.path = "/";
  if (route.domain.empty() || route.domain.size() > kDomainBytesMax || route.service.empty()) return;
  domain_of_route_[route.id] = route.domain;
  auto& routes = own_domains(route.domain)[route.domain];
  routes.push_back(std::move(route));
  std::sort(routes.begin(), routes.end(), [](const Route& a, const Route& b) {
    return a.path.size() != b.path.size() ? a.path.size() > b.path.size() : a.id < b.id;
  });
}

void RouteTableBuilder::remove_route(std::string_view id) {
  const auto known = domain_of_route_.find(id);
  if (known == domain_of_route_.end()) return;
  auto& domains = own_domains(known->second);
  const auto found = domains.find(known->second);
  if (found != domains.end()) {
    std::erase_if(found->second, [&](const Route& route) { return route.id == id; });
    if (found->second.empty()) domains.erase(found);
  }
  domain_of_route_.erase(known);
}

bool RouteTableBuilder::put_backend(const std::string& service, const std::string& id, const std::string& addr) {
  const Service* current = table_.service(service);
  if (current != nullptr)
    for (const auto& backend : current->backends)
      if (backend->id == id && backend->addr == addr) return true;
  auto backend = std::make_shared<Backend>();
  if (!parse_address(addr, backend->address, backend->address_size)) return false;
  backend->service = service;
  backend->id = id;
  backend->addr = addr;
  backend->id_hash = stable_hash(service + "/" + id);
  remove_backend(service, id);
  auto& entry = own_services(service)[service];
  entry.name = service;
  const auto leader = leaders_.find(service);
  entry.leader = leader == leaders_.end() ? "" : leader->second;
  entry.backends.push_back(std::move(backend));
  return true;
}

void RouteTableBuilder::remove_backend(std::string_view service, std::string_view id) {
  if (table_.service(service) == nullptr) return;
  auto& services = own_services(service);
  auto& entry = services.find(service)->second;
  for (const auto& backend : entry.backends)
    if (backend->id == id) backend->retired.store(true, std::memory_order_relaxed);
  std::erase_if(entry.backends, [&](const auto& backend) { return backend->id == id; });
  if (entry.backends.empty()) services.erase(services.find(service));
}

void RouteTableBuilder::set_leader(const std::string& service, const std::string& id) {
  if (id.empty())
    leaders_.erase(service);
  else
    leaders_[service] = id;
  const Service* current = table_.service(service);
  if (current != nullptr && current->leader != id) own_services(service)[service].leader = id;
}

std::vector<std::string> RouteTableBuilder::led_services() const {
  std::vector<std::string> names;
  for (const auto& [service, id] : leaders_) names.push_back(service);
  return names;
}

std::vector<std::string> RouteTableBuilder::route_ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, domain] : domain_of_route_) ids.push_back(id);
  return ids;
}

std::vector<std::pair<std::string, std::string>> RouteTableBuilder::backend_ids() const {
  std::vector<std::pair<std::string, std::string>> ids;
  for (const auto& shard : table_.services_) {
    if (!shard) continue;
    for (const auto& [name, service] : *shard)
      for (const auto& backend : service.backends) ids.emplace_back(name, backend->id);
  }
  return ids;
}

}  // namespace flynn::router
