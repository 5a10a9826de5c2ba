// A core in this process with store and discovery, whose HTTP wire listens on the loopback.
#pragma once

#include <memory>
#include <string>

#include "node.h"

namespace flynn::wires {

/// Everything lies in a temporary folder. Thread: its owner's.
class WireNode {
 public:
  /// `caged`: each plugin in a process of its own.
  explicit WireNode(bool caged = false);
  ~WireNode();
  WireNode(const WireNode&) = delete;
  WireNode& operator=(const WireNode&) = delete;

  int discovery_port() const { return port_; }
  core::Node& node() { return *node_; }
  /// The discovery by another copy of the same file; its error, or empty.
  std::string swap_discovery();

 private:
  std::string folder_;
  int port_ = 0;
  std::unique_ptr<core::EventLog> log_;
  std::unique_ptr<core::Node> node_;
};

}  // namespace flynn::wires
