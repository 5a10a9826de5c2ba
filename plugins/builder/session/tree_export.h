// A commit's tree as a tar archive.
#pragma once

#include <string>

#include "flynn/sdk/result.h"

namespace flynn::builder {

struct ExportReport {
  std::size_t files = 0;
  std::size_t submodules = 0;  // are left out
};

/// Writes the tree of commit `id` (40 hex digits) of the bare repository to `fd` as a tar: modes of git, owner 0, times
/// of the commit, sorted as in git. `quarantine`: an objects folder of a push that is not accepted yet, or empty.
Result<ExportReport> export_tree(const std::string& repository, const std::string& quarantine, const std::string& id,
                                 int fd);

}  // namespace flynn::builder
