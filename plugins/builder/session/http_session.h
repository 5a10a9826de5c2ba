// HttpSession: git over HTTP ("smart"), for the connections that the router passes on; in a process of its own, like
// SSH.
#pragma once

#include "flynn/sdk/unique_fd.h"

namespace flynn::builder {

/// Serves the requests of one connection until it ends. Paths and answers: FLYNN's gitreceive of 2021; git's protocol:
/// gitprotocol-http(5). The plugin at the other end of `control` knows who may and which apps there are. Exit code.
int serve_http_session(UniqueFd connection, UniqueFd control, unsigned uid);

}  // namespace flynn::builder
