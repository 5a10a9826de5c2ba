// The routes and instances as the store and discovery tell them, made into the table that is in force.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/route_table.h"
#include "flynn/sdk/store.h"

namespace flynn::router {

/// What discovery says about one instance.
struct InstanceNews {
  bool up = false;
  std::string service, id, addr;
};

/// Keeps the last known state through every interruption of its sources: a snapshot replaces, silence changes nothing.
/// Thread: [any].
class LiveTable {
 public:
  using Publish = std::function<void(const std::shared_ptr<const RouteTable>&)>;
  /// `publish` is called for each change, under a lock: in order, and it must not call back.
  explicit LiveTable(Publish publish);

  /// Of the keys below `routes/`; those of other kinds than http are not ours.
  void replace_routes(const RangeResult& all);
  void change_routes(const std::vector<StoreEvent>& events);
  void replace_instances(const std::vector<InstanceNews>& all);
  void change_instance(const InstanceNews& news);

  [[nodiscard]] std::shared_ptr<const RouteTable> table() const;
  [[nodiscard]] bool has_routes() const;
  [[nodiscard]] bool has_instances() const;

 private:
  void publish_locked();

  Publish publish_;
  mutable std::mutex mutex_;
  RouteTableBuilder builder_;
  std::shared_ptr<const RouteTable> table_;
  bool routes_known_ = false, instances_known_ = false;
};

}  // namespace flynn::router
