// One SSH connection: public keys that the plugin knows, and `git-receive-pack '<app>.git'`, nothing else.
#pragma once

#include <string>

#include "flynn/sdk/unique_fd.h"

namespace flynn::builder {

/// Serves `connection` to its end; asks the plugin over `control`. Exit status of the process.
int serve_ssh_session(UniqueFd connection, UniqueFd control, const std::string& host_key_path, unsigned uid);

}  // namespace flynn::builder
