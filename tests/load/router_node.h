// A node with store, discovery and router in this process, and one app behind it.
#pragma once

#include <memory>
#include <string>

#include "flynn/sdk/worker.h"
#include "node.h"

namespace flynn::load {

/// Host "load.test" is routed to 127.0.0.1:`backend_port`, and so is tcp_port() by a TCP route. Everything lies in a
/// temporary folder. Thread: its owner's.
class RouterNode {
 public:
  static constexpr const char* kHost = "load.test";

  explicit RouterNode(int backend_port);
  ~RouterNode();
  RouterNode(const RouterNode&) = delete;
  RouterNode& operator=(const RouterNode&) = delete;

  /// Before start().
  core::CoreConfig& core() { return config_.core; }
  /// Before start(): each plugin in a process of its own.
  void use_cages();
  /// Empty once the app answers; otherwise what failed.
  std::string start();
  /// The router by another copy of the same file.
  Result<core::SwapOutcome> swap(const core::SwapOptions& options);
  /// By another plugin.
  Result<core::SwapOutcome> swap(const std::string& file, const core::SwapOptions& options);
  static std::string own_router();
  /// What the node tells of a slot: `process`, `state`, `generation`, …
  json::object describe(const std::string& slot);
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] int tcp_port() const { return tcp_port_; }
  json::object router_figures();

 private:
  Result<Reply> call(const char* interface, const char* method, const json::object& body);

  std::string put(const std::string& key, const json::object& value);

  int backend_port_, port_ = 0, tcp_port_ = 0;
  std::string folder_;
  core::NodeConfig config_;
  std::unique_ptr<core::EventLog> log_;
  std::unique_ptr<core::Node> node_;
  Worker renewer_;
};

}  // namespace flynn::load
