// Where requests go: an immutable table, and the builder that makes the next one from the last.
#pragma once

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace flynn::router {

struct Route {
  std::string id, domain, path, service, app_id;
  bool sticky = false;
  bool maintenance = false;  // answered with a page, whatever runs
  bool leader = false;       // only by the instance that leads the service
};

/// One instance of a service. Lives as long as a table, a connection or a pool knows it; the counters outlive every
/// change of routes. Thread: the atomics [any], the rest constant.
struct Backend {
  std::string service, id, addr;
  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::uint64_t id_hash = 0;  // the sticky cookie's value: ids are random, addresses are not
  std::atomic<std::uint32_t> in_flight{0};
  std::atomic<bool> retired{false};               // gone from discovery: no idle connection is kept
  std::atomic<std::int64_t> avoided_until_ms{0};  // monotonic; after a failed connect
};

struct Service {
  std::string name;
  std::string leader;  // its instance's id; empty: nobody
  std::vector<std::shared_ptr<Backend>> backends;
};

namespace detail {
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <typename Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;
}  // namespace detail

/// Immutable once published; shared by all threads. A change copies one shard of 256.
class RouteTable {
 public:
  /// `host` without port, in any case. Exact domain, then `*.` of the nearest parent, then `*`; among a domain's routes
  /// the longest path prefix by whole segments. `*.example.com` is not a route for example.com itself.
  [[nodiscard]] const Route* find(std::string_view host, std::string_view path) const;
  [[nodiscard]] const Service* service(std::string_view name) const;
  [[nodiscard]] std::vector<Route> routes() const;

 private:
  friend class RouteTableBuilder;
  static constexpr std::size_t kShards = 256;
  using Routes = std::vector<Route>;  // of one domain, longest path first
  using Domains = detail::TextMap<Routes>;
  using Services = detail::TextMap<Service>;

  [[nodiscard]] const Route* find_domain(std::string_view domain, std::string_view path) const;

  std::array<std::shared_ptr<Domains>, kShards> domains_;
  std::array<std::shared_ptr<Services>, kShards> services_;
};

/// Keeps the current table and changes it. Thread: one at a time.
class RouteTableBuilder {
 public:
  /// Adds or replaces by id. Routes without a domain or service are ignored.
  void put_route(Route route);
  void remove_route(std::string_view id);
  /// Adds or replaces by service and id. False when `addr` is no "IP:port".
  bool put_backend(const std::string& service, const std::string& id, const std::string& addr);
  void remove_backend(std::string_view service, std::string_view id);
  /// Which instance leads the service, be it known already or not; empty: none.
  void set_leader(const std::string& service, const std::string& id);
  /// Ids of the known, for a resynchronisation.
  [[nodiscard]] std::vector<std::string> route_ids() const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> backend_ids() const;
  [[nodiscard]] std::vector<std::string> led_services() const;

  /// The table as it is now. Later changes leave it alone.
  [[nodiscard]] std::shared_ptr<const RouteTable> publish() const { return std::make_shared<RouteTable>(table_); }

 private:
  RouteTable::Domains& own_domains(std::string_view domain);
  RouteTable::Services& own_services(std::string_view service);

  RouteTable table_;
  detail::TextMap<std::string> domain_of_route_, leaders_;
};

}  // namespace flynn::router
