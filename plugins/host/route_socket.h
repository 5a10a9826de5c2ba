// RouteSocket: one rtnetlink socket of libnl with the few requests we need. Bound to the network namespace of the
// thread that opens it. Thread: one at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"

struct nl_sock;

namespace flynn::host {

class RouteSocket {
 public:
  static Result<RouteSocket> open();

  /// 0 when there is no such link.
  int link_index(const std::string& name);
  Result<void> add_bridge(const std::string& name);
  /// Makes a pair: `name` here on the bridge, `peer` in the namespace of `netns_fd`.
  Result<void> add_veth(const std::string& name, const std::string& peer, int netns_fd, int bridge_index);
  Result<void> set_up(const std::string& name);
  /// No such link is fine.
  Result<void> delete_link(const std::string& name);
  /// Already there is fine.
  Result<void> add_address(const std::string& link, const std::string& address, unsigned prefix_bits);
  Result<void> add_default_route(const std::string& gateway, const std::string& link);
  /// Names of the links whose master is `index`.
  std::vector<std::string> links_of_bridge(int index);

 private:
  struct Close {
    void operator()(nl_sock* socket) const;
  };
  explicit RouteSocket(nl_sock* socket) : socket_(socket) {}
  std::unique_ptr<nl_sock, Close> socket_;
};

}  // namespace flynn::host
