// The few messages between the plugin and its session processes: one JSON object a line on a socket pair, with at most
// three descriptors beside it.
#pragma once

#include <string>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/json.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::builder {

constexpr std::size_t kWireMessageBytesMax = 65536;
constexpr std::size_t kWireDescriptorsMax = 3;

struct WireMessage {
  json::object body;
  std::vector<UniqueFd> fds;
};

/// The socket is SOCK_SEQPACKET: a message is a packet. `fds` are borrowed. Thread: [any].
Result<void> send_message(int socket, const json::object& body, const std::vector<int>& fds = {});
/// `cancelled`: the other side has gone. `deadline_exceeded`: nothing came.
Result<WireMessage> receive_message(int socket, Deadline deadline);
Result<std::pair<UniqueFd, UniqueFd>> make_message_pair();

}  // namespace flynn::builder
