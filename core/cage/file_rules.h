// FileRules: the paths that a caged plugin may use, one list for every wall that is about files.
#pragma once

#include <string>
#include <vector>

#include "walls.h"

namespace flynn::core {

enum class FileUse {
  read,    ///< and list
  run,     ///< read, and start what lies there if the cage may start programs
  write,   ///< all that can be done with files and folders of one's own
  device,  ///< read and written, but not made
};

struct FileRule {
  std::string path;
  FileUse use = FileUse::read;
};

/// What the system has for every program (libraries, the linker's and the clock's files, with `exec` its programs, with
/// `net` what names are looked up by), the cage's own folders, and what the configuration names. A path need not be
/// there. No file of /etc that tells of users. Pure.
std::vector<FileRule> file_rules(const CageWalls& walls);

}  // namespace flynn::core
