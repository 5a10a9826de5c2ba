// Read-only squashfs images as mounts, by system calls.
#pragma once

#include <string>

#include "flynn/sdk/result.h"

namespace flynn::host {

/// Mounts the squashfs file at the folder `point`, read-only, nosuid and nodev, over a loop device that clears itself
/// when the mount goes. Only for files whose digest has been verified: a hostile image attacks the kernel.
Result<void> mount_squashfs(const std::string& file, const std::string& point);

}  // namespace flynn::host
