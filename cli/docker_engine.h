/// Docker's engine on this machine, by its unix socket.
#pragma once

#include <functional>
#include <string>

#include "flynn/sdk/unique_fd.h"
#include "result.h"

namespace flynn::cli {

/// What `docker save NAME` writes, in a nameless temporary file. The engine is the one of DOCKER_HOST (unix:// only),
/// else of /var/run/docker.sock. `progress` hears how many bytes have come.
Result<UniqueFd> export_docker_image(const std::string& name, const std::function<void(std::int64_t)>& progress);

}  // namespace flynn::cli
