// Peer: whose process is at the other end of a TCP connection within this machine.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "flynn/sdk/result.h"

namespace flynn::host {

struct Peer {
  uid_t uid = 0;
  std::uint32_t inode = 0;  // of the socket at the other end
};

/// The user whose process holds the peer's end of the connected socket `fd` (borrowed), as the kernel says by
/// NETLINK_SOCK_DIAG. permission_denied: the peer is not on loopback; not_found: nobody holds that end any more, or it
/// lies in another network namespace; else the kernel's refusal. Whoever gets an error must not be trusted.
/// Thread: [any].
Result<Peer> peer_of(int fd);

/// Whether this very process holds the socket: then a client speaks through us (a router in the same process).
bool is_our_socket(std::uint32_t inode);

}  // namespace flynn::host
