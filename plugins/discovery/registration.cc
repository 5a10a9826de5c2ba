#include "registration.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace flynn::discovery {
namespace {

constexpr std::size_t kNameBytesMax = 128;

Error bad(const char* member, const char* what) {
  return Error{Code::invalid_argument, "member \"" + std::string(member) + "\" " + what};
}

}  // namespace

Result<void> check_service(std::string_view service) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = !service.empty() && service.size() <= kNameBytesMax && plain(service.front()) &&
                    std::all_of(service.begin(), service.end(), [&](char c) { return plain(c) || c == '-'; });
  if (!good) return bad("service", "must be 1 to 128 of a-z, 0-9 and '-', not beginning with '-'");
  return {};
}

Result<void> check_instance_id(std::string_view id) {
  const bool good = !id.empty() && id.size() <= kNameBytesMax && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (!good) return bad("id", "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-'");
  return {};
}

Result<void> check_addr(std::string_view addr) {
  const auto colon = addr.rfind(':');
  unsigned port = 0;
  const auto* end = addr.data() + addr.size();
  const bool has_port = colon != std::string_view::npos &&
                        std::from_chars(addr.data() + colon + 1, end, port).ptr == end && port > 0 && port < 65536;
  std::string host(addr.substr(0, has_port ? colon : 0));
  in6_addr parsed{};
  const bool v6 = host.size() > 2 && host.front() == '[' && host.back() == ']' &&
                  ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &parsed) == 1;
  if (!has_port || (!v6 && ::inet_pton(AF_INET, host.c_str(), &parsed) != 1)) return bad("addr", "must be \"IP:PORT\"");
  return {};
}

Result<Registration::Registered> Registration::add(const NewInstance& instance) {
  for (const auto& checked :
       {check_service(instance.service), check_instance_id(instance.id), check_addr(instance.addr)})
    if (!checked) return checked.error();
  const auto key = instance_key(instance.service, instance.id);
  auto known = store_.get(key);
  if (!known) return known.error();
  auto lease = store_.grant_lease(instance.ttl);
  if (!lease) return lease.error();
  const auto* before = *known ? (*known)->value.if_object() : nullptr;
  const std::string created = before == nullptr ? now_rfc3339() : string_or(*before, "created_at");
  auto written = store_.put(key,
                            json::object{{"v", 1},
                                         {"addr", instance.addr},
                                         {"proto", instance.proto},
                                         {"meta", instance.meta},
                                         {"created_at", created}},
                            *lease);
  if (!written) {
    (void)store_.revoke_lease(*lease);
    return written.error();
  }
  // The key has moved to the new lease, so ending the old one deletes nothing.
  if (*known && !(*known)->lease.empty()) (void)store_.revoke_lease((*known)->lease);
  return Registered{*lease, *known ? (*known)->create_revision : *written};
}

Result<void> Registration::renew(const std::string& service, const std::string& id, const std::string& lease) {
  for (const auto& checked : {check_service(service), check_instance_id(id)})
    if (!checked) return checked.error();
  // Another's lease would be kept alive, and this instance would go all the same.
  auto known = store_.get(instance_key(service, id));
  if (!known) return known.error();
  if (!*known || (*known)->lease != lease)
    return Error{Code::not_found, "instance " + id + " of service " + service + " is not held by that lease"};
  return store_.keep_lease_alive(lease);
}

Result<void> Registration::remove(const std::string& service, const std::string& id) {
  for (const auto& checked : {check_service(service), check_instance_id(id)})
    if (!checked) return checked.error();
  const auto key = instance_key(service, id);
  auto known = store_.get(key);
  if (!known) return known.error();
  if (!*known) return {};
  auto erased = store_.erase(key);
  if (!erased) return erased.error();
  if (!(*known)->lease.empty()) (void)store_.revoke_lease((*known)->lease);
  return {};
}

Result<ServiceView> Registration::view(const std::string& service) {
  if (auto checked = check_service(service); !checked) return checked.error();
  auto keys = store_.range(std::string(kServicesPrefix) + service + "/");
  if (!keys) return keys.error();
  return view_of(*keys, service);
}

Result<std::vector<std::string>> Registration::services() {
  auto keys = store_.range(kServicesPrefix);
  if (!keys) return keys.error();
  std::set<std::string> names;
  for (const auto& kv : keys->kvs) {
    const auto rest = kv.key.substr(kServicesPrefix.size());
    names.insert(rest.substr(0, rest.find('/')));
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<void> Registration::set_leader(const std::string& service, const std::string& id) {
  for (const auto& checked : {check_service(service), check_instance_id(id)})
    if (!checked) return checked.error();
  auto written = store_.txn()
                     .if_exists(instance_key(service, id))
                     .put(leader_key(service), json::object{{"v", 1}, {"id", id}})
                     .commit();
  if (written) return {};
  if (written.error().code == Code::conflict)
    return Error{Code::not_found, "service " + service + " has no instance " + id};
  return written.error();
}

Result<Registration::Meta> Registration::meta(const std::string& service) {
  if (auto checked = check_service(service); !checked) return checked.error();
  auto kv = store_.get(meta_key(service));
  if (!kv) return kv.error();
  if (!*kv) return Meta{json::object{}, 0};
  const auto* value = (*kv)->value.if_object();
  const auto* meta = value == nullptr ? nullptr : value->if_contains("meta");
  return Meta{meta == nullptr ? json::object{} : *meta, (*kv)->mod_revision};
}

Result<void> Registration::make_service(const std::string& service, const std::string& leader_type) {
  if (auto checked = check_service(service); !checked) return checked.error();
  if (leader_type != "oldest" && leader_type != "manual") return bad("leader_type", "must be \"oldest\" or \"manual\"");
  auto made = store_.txn()
                  .if_absent(config_key(service))
                  .put(config_key(service), json::object{{"v", 1}, {"leader_type", leader_type}})
                  .commit();
  if (made) return {};
  if (made.error().code == Code::conflict)
    return Error{Code::already_exists, "service \"" + service + "\" already exists"};
  return made.error();
}

Result<void> Registration::remove_service(const std::string& service) {
  auto found = view(service);
  if (!found) return found.error();
  if (!found->known) return Error{Code::not_found, "service \"" + service + "\" not found"};
  auto erased = store_.txn().erase_prefix(service_folder(service)).commit();
  if (!erased) return erased.error();
  return {};
}

Result<Registration::Meta> Registration::set_meta(const std::string& service, const json::value& meta,
                                                  std::int64_t index, const std::string& leader) {
  if (auto checked = check_service(service); !checked) return checked.error();
  if (!leader.empty())
    if (auto checked = check_instance_id(leader); !checked) return checked.error();
  auto txn = store_.txn();
  txn.if_mod(meta_key(service), index).put(meta_key(service), json::object{{"v", 1}, {"meta", meta}});
  if (!leader.empty()) txn.put(leader_key(service), json::object{{"v", 1}, {"id", leader}});
  auto written = txn.commit();
  if (!written) return written.error().context("metadata of service " + service);
  return Meta{meta, *written};
}

}  // namespace flynn::discovery
