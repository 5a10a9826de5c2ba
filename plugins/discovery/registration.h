// Registration: the writes of discovery, as transactions of the store.
#pragma once

#include <string>

#include "registry.h"

namespace flynn::discovery {

struct NewInstance {
  std::string service, id, addr, proto = "tcp";
  json::object meta;
  std::chrono::milliseconds ttl{10'000};
};

/// invalid_argument names the member.
Result<void> check_service(std::string_view service);
Result<void> check_instance_id(std::string_view id);
/// "IPv4:port" or "[IPv6]:port".
Result<void> check_addr(std::string_view addr);

/// Thread: [any]. Borrows the store client.
class Registration {
 public:
  explicit Registration(StoreClient& store) : store_(store) {}

  struct Registered {
    std::string lease;
    std::int64_t index = 0;
  };
  Result<Registered> add(const NewInstance& instance);
  /// not_found: the lease has expired or the instance is not there any more; register again.
  Result<void> renew(const std::string& service, const std::string& id, const std::string& lease);
  Result<void> remove(const std::string& service, const std::string& id);
  Result<ServiceView> view(const std::string& service);
  Result<std::vector<std::string>> services();
  Result<void> set_leader(const std::string& service, const std::string& id);

  struct Meta {
    json::value meta;
    std::int64_t index = 0;
  };
  Result<Meta> meta(const std::string& service);
  /// `conflict` unless `index` is that of the present one (0: absent). `leader`: becomes the leader at the same moment.
  Result<Meta> set_meta(const std::string& service, const json::value& meta, std::int64_t index,
                        const std::string& leader = {});

  /// already_exists. `leader_type`: "oldest" or "manual".
  Result<void> make_service(const std::string& service, const std::string& leader_type);
  /// With all that belongs to it; not_found.
  Result<void> remove_service(const std::string& service);

 private:
  StoreClient& store_;
};

}  // namespace flynn::discovery
