// Runs a program by argument vector, with a deadline, and keeps what it said.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"

namespace flynn::host {

struct ChildPlan {
  std::vector<std::string> args;           // args[0]: absolute path of the program
  std::map<std::string, std::string> env;  // all of it; nothing is inherited
  std::vector<std::pair<int, int>> fds;    // {ours, number in the child}; 0 is /dev/null unless named
  bool new_session = false;                // setsid: signals to our group don't reach it
};

struct ChildOutcome {
  int status = 0;      // exit status, 128+N for a signal
  std::string output;  // stdout and stderr together, at most 64 KiB, trimmed
};

/// Starts it and returns its pid; the caller waits for it.
Result<pid_t> spawn_child(const ChildPlan& plan);
/// exit status, 128+N for a signal; the child is killed at the deadline (`deadline_exceeded`).
Result<int> wait_child(pid_t pid, Deadline deadline);
/// Starts it, reads all that it says, waits.
Result<ChildOutcome> run_child(ChildPlan plan, Deadline deadline);

}  // namespace flynn::host
