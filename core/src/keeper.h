// The keeper: a small process that holds the listening sockets and restarts the host process when it dies.
#pragma once

#include <filesystem>

namespace flynn::core {

/// Runs until SIGTERM or SIGINT, which it passes on. The exit code.
int run_keeper(const std::filesystem::path& config_file);

}  // namespace flynn::core
