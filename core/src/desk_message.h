// What goes from the host to its keeper over their SOCK_SEQPACKET pair, beside entries of the audit log: a listening
// socket that the next host shall inherit.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

/// Hands a duplicate of `socket` to the keeper. There is no answer, and none is needed: what was sent reaches the
/// keeper even if the host is killed the next moment. Never waits: unavailable when the keeper is behind. Thread:
/// [any].
Result<void> send_listener(int keeper, const std::string& name, int socket);

/// recv(2) without waiting. Whatever descriptors came along are in `fds`, so none is ever left open by accident.
ssize_t receive_message(int fd, std::span<char> room, std::vector<UniqueFd>& fds);

}  // namespace flynn::core
