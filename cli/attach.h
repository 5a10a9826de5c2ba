/// The client's side of an attached job: stdin and signals to it, its output to us, until its exit status comes.
#pragma once

#include "http.h"

namespace flynn::cli {

struct AttachIo {
  int stdin_fd = -1;  // -1: the job's stdin ends at once
  int stdout_fd = 1;
  int stderr_fd = 2;
  bool tty = false;  // raw mode on stdin_fd, sizes from stdout_fd
};

/// The job's exit status (128+N for a signal). A connection that ends without one is an error. SIGINT and SIGTERM are
/// passed on to the job, and SIGKILL 10 s later.
Result<int> run_attached(Upgraded connection, const AttachIo& io);

}  // namespace flynn::cli
