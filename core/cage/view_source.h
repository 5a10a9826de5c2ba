// ViewSource: what a file view is made of, looked up and held before any of it is hidden.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "file_rules.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::core {

/// A tree of mounts that is not attached anywhere yet.
struct ViewTree {
  UniqueFd mounts;
  FileUse use = FileUse::read;
  bool folder = false;
  bool writable() const { return use == FileUse::write; }
};

struct ViewLink {
  std::string path, target;
};

/// Paths are absolute and without links but for a link's own last part. Thread: one.
struct ViewSource {
  std::map<std::string, ViewTree> trees;  ///< parents before what is in them; none says what its parent says already
  std::vector<ViewLink> links;            ///< those on the way to a tree, outside of the trees

  /// What is not there is left out, and so is /proc. An error has the system's words.
  static Result<ViewSource> open(const std::vector<FileRule>& rules);
  /// The tree that `path` lies in.
  const ViewTree* around(const std::string& path) const;
};

}  // namespace flynn::core
