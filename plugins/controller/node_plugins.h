/// The plugins of the node, as flynn.node/1 tells of them and changes them.
///
/// Thread: [any]. Errors: 503 while the node does not answer; 400 with the node's own words for what it refuses.
#pragma once

#include "context.h"

namespace flynn::controller {

struct NodePlugins {
  std::string node;
  std::vector<json::object> plugins;  // each a Plugin of flynn.node/1
};

Outcome<NodePlugins> node_plugins(Context& context);
/// A bare 404 when there is no such slot.
Outcome<json::object> node_plugin(Context& context, const std::string& slot);
/// Another method of flynn.node/1.
Outcome<json::object> ask_node(Context& context, const char* method, const json::object& body);

}  // namespace flynn::controller
