// A node in this process with animals of the zoo in its slots; impatient, so that those that hang are found out soon.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "node.h"

namespace flynn::core {

std::string zoo_file(const std::string& animal);

/// Every slot in a process of its own.
inline void in_cages(NodeConfig& config) {
  for (auto& plugin : config.plugins) plugin.cage.own_process = true;
}

class ZooNode {
 public:
  /// Slot -> animal, or the path of a file; `change` may change the configuration.
  ZooNode(std::initializer_list<std::pair<const char*, const char*>> slots,
          const std::function<void(NodeConfig&)>& change = {});
  explicit ZooNode(const char* animal) : ZooNode({{"cage", animal}}) {}
  ~ZooNode();

  /// Ends the node and starts another on the same folders.
  void reboot();
  /// What the node's file says of the slot from the next reboot on.
  void set_file_config(const std::string& slot, const std::string& config_json);
  Node& node() { return *node_; }
  Result<SwapOutcome> swap(const std::string& animal, const std::string& slot = "cage");
  Result<SwapOutcome> swap(const std::string& animal, const SwapOptions& options, const std::string& slot = "cage");
  json::object plan(const std::string& animal, const std::string& slot = "cage", const SwapOptions& options = {});
  /// Of the listening socket "zoo", on the loopback.
  std::uint16_t port() const { return port_; }
  /// The newest entry of the slot.
  json::object last_in_history(const std::string& slot = "cage");
  /// Changes hold until the next reboot().
  CoreConfig& core() { return config_.core; }
  NodeConfig& config() { return config_; }
  Result<Reply> call(const std::string& method, const std::string& interface = "zoo.animal/1",
                     const json::object& body = {});
  /// The version that answers.
  std::string version();
  std::string state(const std::string& slot = "cage");
  std::string reason(const std::string& slot = "cage");
  std::int64_t zombies(const std::string& slot = "cage");
  const std::string& folder() const { return folder_; }

 private:
  json::object describe(const std::string& slot);
  std::string folder_;
  NodeConfig config_;
  std::uint16_t port_ = 0;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<Node> node_;
};

}  // namespace flynn::core
