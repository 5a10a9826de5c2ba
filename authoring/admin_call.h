// Calls to the running node, by its admin socket.
#pragma once

#include <string>

#include "flynn/sdk/json.h"
#include "flynn/sdk/result.h"

namespace flynn::authoring {

/// One call, on a connection of its own, to the node at FLYNN_ADMIN_SOCKET (unset or empty: /run/flynn/admin.sock).
/// `unavailable`: no node answers there; worth another try later. `internal`: it went away before it answered, perhaps
/// by what was asked for. `cancelled`: `stop_fd` (-1: none) became readable first; what was asked for may still be
/// done. Else the node's own error. Thread: [any].
Result<json::object> ask_node(const std::string& method, const json::object& params, int stop_fd = -1);

}  // namespace flynn::authoring
