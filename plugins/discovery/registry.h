// Registry: what the store says of services, in memory, and everybody who watches it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "flynn/sdk/store.h"

namespace flynn::discovery {

inline constexpr std::string_view kServicesPrefix = "discovery/services/";
/// What a watcher waits at most for the first reading of the store.
inline constexpr std::chrono::seconds kReadMax{2};

struct Instance {
  std::string service, id, addr, proto;
  json::object meta;
  std::string created_at;
  std::int64_t index = 0;  // the revision of its registration
};

/// As the contract shows it.
json::object to_json(const Instance& instance);
/// Of a key `discovery/services/<service>/instances/<id>`; nullopt for any other key.
std::optional<Instance> instance_of(const KeyValue& kv);
std::string instance_key(std::string_view service, std::string_view id);
std::string leader_key(std::string_view service);
std::string meta_key(std::string_view service);
std::string config_key(std::string_view service);
/// The folder of all keys of a service.
std::string service_folder(std::string_view service);

/// The instances of a service, oldest first, and who leads: the one set by hand while it lives, else the oldest. Of a
/// service whose leader is `manual`: the one set by hand, whether it lives or not.
struct ServiceView {
  std::vector<Instance> instances;
  std::string leader;  // empty: none
  bool known = false;  // it was made, or has or had something
  bool manual = false;
};
ServiceView view_of(const RangeResult& keys_of_service, std::string_view service);

/// Fed by a StoreMirror; a watcher that does not read is closed and may come again. Thread: [any].
class Registry {
 public:
  void replace(const RangeResult& all);
  void apply(const std::vector<StoreEvent>& events);

  /// Until the store has been read: before, a watcher would be told that there is nothing. `unavailable`: not in time.
  Result<void> wait_read(Deadline deadline);
  /// A stream of the contract's lines: what is there, "current", then changes. `service` may be "*".
  Result<UniqueFd> watch(const std::string& service);
  void close_watchers();
  std::size_t watchers() const;

  /// What is known of a service now.
  ServiceView view(const std::string& service) const;

 private:
  struct Service {
    std::map<std::string, Instance> instances;  // by id
    std::string manual_leader;
    bool made = false, manual = false;  // by HTTP
    json::value meta;                   // null: none
    std::int64_t meta_index = 0;
  };
  void forget_gone();
  struct Watcher {
    std::string service;
    UniqueFd fd;
  };
  static std::string leader_of(const Service& service);
  static std::string leader_line(const std::string& name, const Service& service);
  void change(const StoreEvent& event, std::string& text_of_service, std::string& service_name);
  void apply_one(const StoreEvent& event);
  void tell(const std::string& service, const std::string& lines);
  std::string snapshot_lines(const std::string& service) const;

  mutable std::mutex mutex_;
  std::condition_variable was_read_;
  bool read_ = false;
  std::map<std::string, Service> services_;
  std::list<Watcher> watchers_;
};

}  // namespace flynn::discovery
