// The server's Ed25519 key, made once.
#pragma once

#include <string>

#include "flynn/sdk/result.h"

namespace flynn::builder {

/// Writes a new key to `path` (mode 0600) unless the file exists.
Result<void> ensure_host_key(const std::string& path);

}  // namespace flynn::builder
