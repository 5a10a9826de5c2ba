// SecureEnd: how the plain side of a TLS connection ended, for who speaks TLS with the client.
#pragma once

#include <atomic>

namespace flynn::router {

struct SecureEnd {
  /// An answer was broken off: the client must not see an orderly end. Set before the socket is closed.
  std::atomic<bool> broken_off{false};
};

}  // namespace flynn::router
