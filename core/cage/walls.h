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
  bool landlock = true, file_view = true;        ///< false: as on a kernel that has none; for tests of the other one

  json::object document() const;
  static CageWalls from(const json::object& document);
};

/// One of a cage's walls, as its process found it once it was raised.
struct Wall {
  std::string name;  ///< user | seccomp | landlock | files | memory
  bool stands = false;
  std::string how;     ///< what it lets through; why it does not stand
  bool wanted = true;  ///< false: the configuration does without it

  json::object document() const;
  static Wall from(const json::object& document);
};

/// `failed_precondition` when a plugin with these capabilities can't run in a cage at all, and what to do instead.
Result<void> may_be_caged(const std::vector<std::string>& capabilities);

/// What the operator may change when a caged plugin failed with `words`; empty when its cage is hardly why.
std::string cage_hint(std::string_view words, const std::string& slot);

/// For good, for the whole process, which has one thread. A view of files of its own, own user without capabilities, no
/// new privileges, limits, Landlock, seccomp. `image` is the plugin's file, which may be read. The result is every
/// wall, also what this kernel does not have. Source of the choice: docs/decisions/0009-cages.md.
Result<std::vector<Wall>> raise_walls(const CageWalls& walls, int image);

}  // namespace flynn::core
