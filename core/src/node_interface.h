// NodeInterface: flynn.node/1, which the core itself provides: the plugins of this node as a plugin may see and change
// them. Contract: plugin-api/interfaces/node.md
#pragma once

#include <filesystem>

#include "asked_changes.h"
#include "door.h"
#include "log.h"
#include "node_watch.h"

namespace flynn::core {

class Node;
struct SlotOrder;

/// Thread: handle and touched [any]; start and stop [control]. Borrows the node, which owns it.
class NodeInterface : public BuiltIn {
 public:
  NodeInterface(Node& node, EventLog& log);
  static InterfaceId id() { return {"flynn.node", 1, 0}; }

  void start();
  /// From now on changes are refused and streams end.
  void stop();
  void touched() { watch_.touched(); }
  flynn_status handle(const flynn_call& call, flynn_reply* reply) noexcept override;

 private:
  Result<Reply> answer(std::string_view method, const json::object& body, const std::string& who);
  Result<Reply> plugins(const json::object& body);
  Result<Reply> judge(const json::object& body);
  Result<std::filesystem::path> named_file(const std::string& slot, const json::object& body);
  Result<Reply> configure(const json::object& body, const std::string& who);
  Result<Reply> swap(const json::object& body, const std::string& who);
  Result<Reply> roll_back(const json::object& body, const std::string& who);
  Result<Reply> log(const json::object& body);
  Result<Reply> history(const json::object& body);
  Result<Reply> change(const json::object& body);
  Result<Reply> ask(SlotOrder order, const char* action, const std::string& who, json::object detail);
  void note(const AskedChange& change, json::object detail);

  Node& node_;
  EventLog& log_;
  NodeWatch watch_;
  AskedChanges changes_;
};

}  // namespace flynn::core
