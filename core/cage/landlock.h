// Landlock: the file system as a caged plugin sees it.
#pragma once

#include "walls.h"

namespace flynn::core {

/// From now on this thread and what it starts may use file_rules() and its image. Without net: no TCP. Where the kernel
/// can: no signals and no abstract sockets to outside. The kernel's Landlock ABI; 0: it has none. Source:
/// linux/landlock.h, Landlock ABI 1 to 6.
Result<int> restrict_files(const CageWalls& walls, int image);

}  // namespace flynn::core
