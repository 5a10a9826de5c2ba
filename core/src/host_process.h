// The host process: a node under the keeper's eyes.
#pragma once

#include <filesystem>

namespace flynn::core {

/// Runs until SIGTERM, SIGINT or an admin's shutdown. The exit code.
int run_host_process(const std::filesystem::path& config_file);

}  // namespace flynn::core
