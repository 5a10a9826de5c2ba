// DiscoverdClient: the HTTP API of discovery, as far as sdutil needs it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::sdutil {

struct Instance {
  std::string id, addr, proto = "tcp";
};

/// hex MD5 of "PROTO-ADDR": what discovery wants an instance to be called.
std::string instance_id(const std::string& proto, const std::string& addr);

/// Thread: [any]; every call has a connection of its own.
class DiscoverdClient {
 public:
  /// The first address of the variable DISCOVERD; http://127.0.0.1:1111 without it. invalid_argument: it is no URL, or
  /// it is "none".
  static Result<DiscoverdClient> from_environment();

  Result<void> ping() const;
  /// Made already is fine.
  Result<void> make_service(const std::string& name) const;
  /// Also the heartbeat.
  Result<void> put(const std::string& service, const Instance& instance) const;
  Result<void> remove(const std::string& service, const std::string& id) const;
  /// Oldest first; empty when there is no such service.
  Result<std::vector<Instance>> instances(const std::string& service) const;
  /// Calls `leader` with the address of whoever leads (empty: nobody) now and at each change, until the stream ends.
  Result<void> watch_leader(const std::string& service,
                            const std::function<void(const std::string& addr)>& leader) const;

  const std::string& host() const { return host_; }
  std::string text() const { return "discoverd at " + host_ + ":" + std::to_string(port_); }

 private:
  struct Answer {
    int status = 0;
    std::string body;
  };
  Result<Answer> send(const std::string& method, const std::string& path, const std::string& body = {}) const;
  Result<void> expect(const std::string& method, const std::string& path, const std::string& body,
                      int other_good) const;

  std::string host_;
  std::uint16_t port_ = 0;
};

}  // namespace flynn::sdutil
