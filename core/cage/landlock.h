// Landlock: the file system as a caged plugin sees it.
#pragma once

#include "walls.h"

namespace flynn::core {

/// From now on this thread and what it starts may read the system's programs and libraries, its image and may_read,
/// and write its own folders and may_write. Without net: no TCP. Where the kernel can: no signals and no abstract
/// sockets to outside. False: this kernel has no Landlock. Source: linux/landlock.h, Landlock ABI 1 to 6.
Result<bool> restrict_files(const CageWalls& walls, int image);

}  // namespace flynn::core
