#include "dns_zone.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace flynn::discovery {
namespace {

constexpr std::uint32_t kTtlSeconds = 1;  // an instance may go at any moment

struct Endpoint {
  std::string id, service;
  std::string ipv4, ipv6;  // bytes; one of them
  std::uint16_t port = 0;
};

std::optional<Endpoint> endpoint_of(const Instance& instance) {
  const auto colon = instance.addr.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  Endpoint endpoint;
  endpoint.id = instance.id;
  endpoint.service = instance.service;
  unsigned port = 0;
  std::from_chars(instance.addr.data() + colon + 1, instance.addr.data() + instance.addr.size(), port);
  endpoint.port = static_cast<std::uint16_t>(port);
  std::string host = instance.addr.substr(0, colon);
  std::array<char, 16> bytes{};
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) {
    endpoint.ipv4.assign(bytes.data(), 4);
    return endpoint;
  }
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return std::nullopt;
  endpoint.ipv6.assign(bytes.data(), 16);
  return endpoint;
}

std::vector<Endpoint> endpoints_of(const ServiceView& view, const ZoneName& name, unsigned turn) {
  std::vector<Endpoint> found;
  for (const auto& instance : view.instances) {
    if (name.leader && instance.id != view.leader) continue;
    if (!name.proto.empty() && instance.proto != name.proto) continue;
    if (!name.id.empty() && instance.id != name.id) continue;
    if (auto endpoint = endpoint_of(instance)) found.push_back(std::move(*endpoint));
  }
  if (!found.empty()) std::rotate(found.begin(), found.begin() + turn % found.size(), found.end());
  return found;
}

bool wants(const DnsQuery& query, std::uint16_t type) {
  return query.klass == kClassIn && (query.type == type || query.type == kTypeAny);
}

std::string target_of(const Endpoint& endpoint) {
  return encode_name(endpoint.id + "." + endpoint.service + "._i." + std::string(kDomain));
}

DnsRecord address_record(const Endpoint& endpoint, std::string name) {
  const bool v4 = !endpoint.ipv4.empty();
  return {std::move(name), v4 ? kTypeA : kTypeAaaa, kTtlSeconds, v4 ? endpoint.ipv4 : endpoint.ipv6};
}

DnsRecord service_record(const Endpoint& endpoint) {
  std::string data;
  for (const unsigned value : {1u, 1u, unsigned{endpoint.port}}) put_u16(data, value);  // priority, weight, port
  return {{}, kTypeSrv, kTtlSeconds, data + target_of(endpoint)};
}

// RFC 1035 3.3.13; the times are for secondaries, which we have none of.
DnsRecord start_of_authority() {
  const std::string domain(kDomain);
  std::string data = encode_name("ns." + domain) + encode_name("admin." + domain);
  for (const std::uint32_t value : {1u, 60u, 60u, 60u, kTtlSeconds}) {
    put_u16(data, value >> 16);
    put_u16(data, value & 0xffff);
  }
  return {encode_name(domain), kTypeSoa, kTtlSeconds, data};
}

}  // namespace

bool in_our_domain(std::string_view name) {
  return name == kDomain ||
         (name.size() > kDomain.size() + 1 && name.ends_with(kDomain) && name[name.size() - kDomain.size() - 1] == '.');
}

ZoneName zone_name(std::string_view name) {
  if (!in_our_domain(name) || name == kDomain) return {};
  name.remove_suffix(kDomain.size() + 1);
  std::vector<std::string> labels;
  while (true) {
    const auto dot = name.find('.');
    labels.emplace_back(name.substr(0, dot));
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  if (labels.size() == 1 && !labels[0].starts_with('_')) return {labels[0], false, {}, {}};
  if (labels.size() == 2 && labels[0] == "leader") return {labels[1], true, {}, {}};
  if (labels.size() == 2 && labels[0].size() > 1 && labels[1].size() > 1 && labels[0][0] == '_' && labels[1][0] == '_')
    return {labels[0].substr(1), false, labels[1].substr(1), {}};
  if (labels.size() == 3 && labels[2] == "_i") return {labels[1], false, {}, labels[0]};
  return {};
}

std::string zone_answer(std::string_view message, const DnsQuery& query, const ServiceLookup& lookup,
                        std::size_t bytes_max, unsigned turn) {
  DnsReply reply;
  const auto name = zone_name(query.name);
  const auto view = name.service.empty() ? ServiceView{} : lookup(name.service);
  const auto endpoints = endpoints_of(view, name, turn);
  if (!view.known || ((name.leader || !name.id.empty()) && endpoints.empty())) reply.code = DnsCode::no_such_name;
  std::set<std::string> told;
  for (const auto& endpoint : endpoints) {
    auto address = address_record(endpoint, {});
    if (wants(query, address.type) && told.insert(address.data).second) reply.answers.push_back(std::move(address));
  }
  for (const auto& endpoint : endpoints) {
    if (!wants(query, kTypeSrv)) continue;
    reply.answers.push_back(service_record(endpoint));
    reply.additional.push_back(address_record(endpoint, target_of(endpoint)));
  }
  if (reply.answers.empty()) reply.authority.push_back(start_of_authority());
  return dns_reply(message, query, reply, bytes_max);
}

}  // namespace flynn::discovery
