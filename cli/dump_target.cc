#include "dump_target.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "terminal.h"

namespace flynn::cli {

Result<DumpTarget> dump_target(const Arguments& arguments) {
  DumpTarget target;
  if (arguments.has("file")) {
    const std::string path = arguments.value("file");
    target.file.reset(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!target.file) return failure("create " + path + ": " + std::strerror(errno)).as(ErrorCode::kFileUnreadable);
  } else if (is_terminal(1)) {
    return usage_error("a dump is not for a terminal", "Name a file with -f, or send the output somewhere.");
  }
  return target;
}

}  // namespace flynn::cli
