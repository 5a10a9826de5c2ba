// SHA-512/256, the digest of layers.
#pragma once

#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

namespace flynn::host {

/// Lower-case hex.
std::string sha512_256_hex(std::string_view data);

/// Copies all that `source` yields from its position to `target` and returns the digest of what was copied.
/// More than `bytes_max` is `invalid_argument`. Borrows both descriptors.
Result<std::string> copy_with_digest(int source, int target, std::uint64_t bytes_max);

}  // namespace flynn::host
