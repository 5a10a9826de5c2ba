// ProcessFigures: what this process holds of the machine, at one moment.
#pragma once

#include <cstdint>

namespace flynn::core {

struct ProcessFigures {
  std::int64_t memory_bytes = 0;  ///< resident
  std::int64_t descriptors = 0;   ///< that are no sockets
  std::int64_t sockets = 0;       ///< these follow the load as well, so they are counted apart
  std::int64_t threads = 0;
};

/// Reads /proc, of this process unless `pid` names another: about a microsecond a descriptor. What can't be read is 0.
/// Thread: [any].
ProcessFigures read_process_figures(int pid = 0);

}  // namespace flynn::core
