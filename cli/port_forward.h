/// Connections of this machine led to a port of a job, through the controller.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "http.h"

namespace flynn::cli {

struct PortForward {
  std::string address = "127.0.0.1";  // to listen at
  std::uint16_t local_port = 0;       // 0: a free one
  std::string path;                   // "/apps/a/jobs/j/port/80"
};

/// Listens, calls `listening` with the port, and serves until SIGINT, SIGTERM or SIGHUP. Each connection has a thread
/// and one of the controller's; one that fails is told to `failed`, and the others go on.
Status run_port_forward(ControllerClient& client, const PortForward& wanted,
                        const std::function<void(std::uint16_t)>& listening,
                        const std::function<void(const Error&)>& failed);

}  // namespace flynn::cli
