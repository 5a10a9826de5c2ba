// PeerUid: whose process is at the other end of a TCP connection within this machine.
#pragma once

#include <sys/types.h>

#include "flynn/sdk/result.h"

namespace flynn::host {

/// The user whose process holds the peer's end of the connected socket `fd` (borrowed), as the kernel says by
/// NETLINK_SOCK_DIAG. permission_denied: the peer is not on loopback; not_found: nobody holds that end any more, or it
/// lies in another network namespace; else the kernel's refusal. Whoever gets an error must not be trusted.
/// Thread: [any].
Result<uid_t> peer_uid(int fd);

}  // namespace flynn::host
