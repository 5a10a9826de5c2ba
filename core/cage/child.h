// The process in a cage: one plugin, loaded behind walls, and the lanes to the host.
#pragma once

namespace flynn::core {

/// The control lane is descriptor kControlFd. Serves until the host closes it, then ends the process. Exit codes: 0 the
/// host closed the lane; 1 the walls could not be raised (the host was told why).
int run_cage();

inline constexpr int kControlFd = 3;

}  // namespace flynn::core
