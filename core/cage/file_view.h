// The file view: the tree of files that a caged plugin sees, which has what it may use and nothing else.
#pragma once

#include <string>

#include "walls.h"

namespace flynn::core {

/// From now on this process, which has one thread, and what it starts see a mount namespace of their own: file_rules()
/// alone, read-only but for what may be written, under a root folder of theirs that is empty otherwise and root's. What
/// a rule names by a link is there by both names. Mounts that the host makes or ends below those folders follow; none
/// of this process ever reaches the host. It all ends with the last process in it. Must be root, and comes before the
/// cage's user. Nothing: it stands; text: why this kernel, or what the host itself runs in, gives none, and then all is
/// as before. Linux 5.12 or later.
Result<std::string> enter_file_view(const CageWalls& walls);

}  // namespace flynn::core
