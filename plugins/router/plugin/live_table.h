// The routes and instances as the store and discovery tell them, made into the table that is in force.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/route_table.h"
#include "flynn/sdk/store.h"
#include "plugin/tcp_ports.h"

namespace flynn::router {

/// What discovery says about one instance.
struct InstanceNews {
  bool up = false;
  std::string service, id, addr;
};

/// Which instance leads a service; an empty id: none does.
struct LeaderNews {
  std::string service, id;
};

/// Keeps the last known state through every interruption of its sources: a snapshot replaces, silence changes nothing.
/// Thread: [any].
class LiveTable {
 public:
  using Publish = std::function<void(const std::shared_ptr<const RouteTable>&)>;
  using PublishTcp = std::function<void(std::vector<TcpRoute>)>;
  /// Both are called under a lock, in order, and must not call back: `publish` for each change, `publish_tcp` with all
  /// TCP routes in the order of their ids when they may have changed.
  LiveTable(Publish publish, PublishTcp publish_tcp);

  /// Of the keys below `routes/`; those of other kinds than http and tcp are not ours.
  void replace_routes(const RangeResult& all);
  void change_routes(const std::vector<StoreEvent>& events);
  void replace_instances(const std::vector<InstanceNews>& all, const std::vector<LeaderNews>& leaders);
  void change_instance(const InstanceNews& news);
  void change_leader(const LeaderNews& news);

  [[nodiscard]] std::shared_ptr<const RouteTable> table() const;
  [[nodiscard]] bool has_routes() const;
  [[nodiscard]] bool has_instances() const;

 private:
  void publish_locked();
  void publish_tcp_locked();
  void put_tcp(const KeyValue& kv);

  Publish publish_;
  PublishTcp publish_tcp_;
  mutable std::mutex mutex_;
  RouteTableBuilder builder_;
  std::map<std::string, TcpRoute> tcp_;
  std::shared_ptr<const RouteTable> table_;
  bool routes_known_ = false, instances_known_ = false;
};

}  // namespace flynn::router
