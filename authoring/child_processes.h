// Processes that a plugin starts: found, and ended.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace flynn::authoring {

struct ChildProcess {
  pid_t pid = -1;
  std::string name;  // as the kernel shows it, 15 bytes at most
};

/// From now on what the descendants of this process leave behind becomes its child. Thread: [startup].
void adopt_orphans();

/// The children of this process that still run, adopted ones too. Thread: [any].
std::vector<ChildProcess> running_children();

/// Ends and reaps every child of this process, and the children that it inherits thereby. Thread: one at a time.
void end_children();

}  // namespace flynn::authoring
