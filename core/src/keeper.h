// The keeper: a small process that holds the listening sockets and the audit log, and restarts the host process when it
// dies. It opens both once and reads the configuration once: what a restart of the host may change is the host's.
// Sockets that the host opens later, of ranges of ports, it gets from the host.
#pragma once

#include <filesystem>

namespace flynn::core {

/// Runs until SIGTERM or SIGINT, which it passes on; SIGHUP does nothing. The exit code.
int run_keeper(const std::filesystem::path& config_file);

}  // namespace flynn::core
