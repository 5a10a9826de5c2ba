#include "route_socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

namespace flynn::host {
namespace {

using Link = std::unique_ptr<rtnl_link, decltype(&rtnl_link_put)>;
using NlAddr = std::unique_ptr<nl_addr, decltype(&nl_addr_put)>;

Link own(rtnl_link* link) { return Link(link, &rtnl_link_put); }

// libnl's codes are its own; its words are better than a number.
Error nl_error(int code, const std::string& doing) {
  return Error{code == -NLE_EXIST ? Code::already_exists : Code::internal, doing + ": " + nl_geterror(code)};
}

NlAddr parse_address(const std::string& text) {
  nl_addr* address = nullptr;
  if (nl_addr_parse(text.c_str(), AF_INET, &address) != 0) address = nullptr;
  return NlAddr(address, &nl_addr_put);
}

}  // namespace

void RouteSocket::Close::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<RouteSocket> RouteSocket::open() {
  RouteSocket opened(nl_socket_alloc());
  if (!opened.socket_) return Error{Code::resource_exhausted, "out of memory for a netlink socket"};
  if (const int code = nl_connect(opened.socket_.get(), NETLINK_ROUTE); code < 0)
    return nl_error(code, "open rtnetlink");
  return opened;
}

int RouteSocket::link_index(const std::string& name) {
  rtnl_link* link = nullptr;
  if (rtnl_link_get_kernel(socket_.get(), 0, name.c_str(), &link) < 0) return 0;
  return rtnl_link_get_ifindex(own(link).get());
}

Result<void> RouteSocket::add_bridge(const std::string& name) {
  auto link = own(rtnl_link_bridge_alloc());
  rtnl_link_set_name(link.get(), name.c_str());
  const int code = rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (code < 0 && code != -NLE_EXIST) return nl_error(code, "make bridge " + name);
  return {};
}

Result<void> RouteSocket::add_veth(const std::string& name, const std::string& peer, int netns_fd, int bridge_index) {
  auto link = own(rtnl_link_veth_alloc());
  rtnl_link_set_name(link.get(), name.c_str());
  rtnl_link_set_master(link.get(), bridge_index);
  auto other = own(rtnl_link_veth_get_peer(link.get()));
  rtnl_link_set_name(other.get(), peer.c_str());
  rtnl_link_set_ns_fd(other.get(), netns_fd);
  const int code = rtnl_link_add(socket_.get(), link.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (code < 0) return nl_error(code, "make veth pair " + name);
  return {};
}

Result<void> RouteSocket::set_up(const std::string& name) {
  auto original = own(rtnl_link_alloc()), change = own(rtnl_link_alloc());
  // By index: with a name alone the kernel is asked for link 0.
  rtnl_link_set_ifindex(original.get(), link_index(name));
  rtnl_link_set_flags(change.get(), IFF_UP);
  const int code = rtnl_link_change(socket_.get(), original.get(), change.get(), 0);
  if (code < 0) return nl_error(code, "set link " + name + " up");
  return {};
}

Result<void> RouteSocket::delete_link(const std::string& name) {
  auto link = own(rtnl_link_alloc());
  rtnl_link_set_name(link.get(), name.c_str());
  const int code = rtnl_link_delete(socket_.get(), link.get());
  if (code < 0 && code != -NLE_NODEV && code != -NLE_OBJ_NOTFOUND) return nl_error(code, "delete link " + name);
  return {};
}

Result<void> RouteSocket::add_address(const std::string& link, const std::string& address, unsigned prefix_bits) {
  auto local = parse_address(address + "/" + std::to_string(prefix_bits));
  if (!local) return Error{Code::invalid_argument, "no address: " + address};
  std::unique_ptr<rtnl_addr, decltype(&rtnl_addr_put)> entry(rtnl_addr_alloc(), &rtnl_addr_put);
  rtnl_addr_set_ifindex(entry.get(), link_index(link));
  rtnl_addr_set_local(entry.get(), local.get());
  const int code = rtnl_addr_add(socket_.get(), entry.get(), 0);
  if (code < 0 && code != -NLE_EXIST) return nl_error(code, "give " + link + " the address " + address);
  return {};
}

Result<void> RouteSocket::add_default_route(const std::string& gateway, const std::string& link) {
  auto any = parse_address("0.0.0.0/0"), via = parse_address(gateway);
  if (!any || !via) return Error{Code::invalid_argument, "no address: " + gateway};
  std::unique_ptr<rtnl_route, decltype(&rtnl_route_put)> route(rtnl_route_alloc(), &rtnl_route_put);
  rtnl_route_set_family(route.get(), AF_INET);
  rtnl_route_set_dst(route.get(), any.get());
  auto* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, link_index(link));
  rtnl_route_nh_set_gateway(hop, via.get());
  rtnl_route_add_nexthop(route.get(), hop);  // the route owns it now
  const int code = rtnl_route_add(socket_.get(), route.get(), 0);
  if (code < 0 && code != -NLE_EXIST) return nl_error(code, "add the default route by " + gateway);
  return {};
}

std::vector<std::string> RouteSocket::links_of_bridge(int index) {
  std::vector<std::string> names;
  nl_cache* raw = nullptr;
  if (rtnl_link_alloc_cache(socket_.get(), AF_UNSPEC, &raw) < 0) return names;
  std::unique_ptr<nl_cache, decltype(&nl_cache_free)> cache(raw, &nl_cache_free);
  for (auto* object = nl_cache_get_first(cache.get()); object != nullptr; object = nl_cache_get_next(object)) {
    auto* link = reinterpret_cast<rtnl_link*>(object);
    if (rtnl_link_get_master(link) == index) names.emplace_back(rtnl_link_get_name(link));
  }
  return names;
}

}  // namespace flynn::host
