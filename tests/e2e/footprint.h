// Footprint: what a process holds, as the kernel counts it.
#pragma once

#include <sys/types.h>

#include <string>

namespace flynn::e2e {

struct Footprint {
  long rss_kb = 0, threads = 0, fds = 0;
  long anonymous_kb = 0;  // of rss_kb
};

/// All zero when there is no such process.
Footprint footprint(pid_t pid);

/// Images of the slot that the host process has mapped, counted by their file names.
int images_mapped(pid_t pid, const std::string& slot);

}  // namespace flynn::e2e
