// A Poco server socket over a listening descriptor that others hold as well.
#pragma once

#include <Poco/Net/ServerSocket.h>

#include <memory>

#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"

namespace flynn::blobstore {

/// Accepts from `listener`. Where Poco's own differs: accepted sockets are close-on-exec from birth (other plugins fork
/// in this process); accept never blocks when another holder of the socket was quicker; `wake`, when asked, ends a
/// waiting poll at once.
class LentServerSocket : public Poco::Net::ServerSocket {
 public:
  LentServerSocket(UniqueFd listener, std::shared_ptr<StopSignal> wake);
};

/// Whether the bound address of `fd` is a loopback one (or a Unix socket).
bool is_loopback(int fd);

}  // namespace flynn::blobstore
