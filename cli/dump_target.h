/// Where a dump goes: the file of -f, readable by its owner alone, or stdout, which must be no terminal.
#pragma once

#include "command.h"
#include "flynn/sdk/unique_fd.h"
#include "result.h"

namespace flynn::cli {

struct DumpTarget {
  UniqueFd file;  // empty: stdout
  [[nodiscard]] int fd() const { return file ? file.get() : 1; }
};

Result<DumpTarget> dump_target(const Arguments& arguments);

}  // namespace flynn::cli
