// CageWalls: what a caged plugin may touch, and how the process makes sure of it before it loads the plugin.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::core {

struct CageWalls {
  uid_t user = 0;                  ///< user and group; 0: stays what the host is (which was not started as root)
  std::int64_t memory_bytes = 0;   ///< RLIMIT_DATA: private writable memory that it may ask for; 0: no limit
  bool net = false, exec = false;  ///< the capabilities of these names: internet sockets; starting programs
  bool low_ports = false;          ///< the capability of this name: binds ports below 1024
  std::string data_dir, run_dir;   ///< its own, may be written
  std::vector<std::string> may_read, may_write;  ///< more paths, from the node's configuration

  json::object document() const;
  static CageWalls from(const json::object& document);
};

/// `failed_precondition` when a plugin with these capabilities can't run in a cage at all, and what to do instead.
Result<void> may_be_caged(const std::vector<std::string>& capabilities);

/// What the operator may change when a caged plugin failed with `words`; empty when its cage is hardly why.
std::string cage_hint(std::string_view words, const std::string& slot);

/// For good, for the whole process, which has one thread. Own user without capabilities, no new privileges, limits,
/// Landlock over the file system (where the kernel has it), seccomp. `image` is the plugin's file, which may be read.
/// The result names the walls that this kernel does not have. Source of the choice: docs/decisions/0009-cages.md.
Result<std::vector<std::string>> raise_walls(const CageWalls& walls, int image);

}  // namespace flynn::core
