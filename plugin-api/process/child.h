// Child: a program started by argument vector in a process group of its own.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::process {

/// Move-only; what still runs when it goes is killed with its group and reaped. Thread: one at a time.
class Child {
 public:
  /// `fds`: {ours, the child's number}; all others are closed on exec. Descriptors not named among 0-2 are /dev/null.
  static Result<Child> start(const std::vector<std::string>& arguments, const std::vector<std::pair<int, int>>& fds);
  Child() = default;
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child() { end(); }

  bool running() const { return pid_ > 0; }
  /// Readable when it has ended.
  int fd() const { return pidfd_.get(); }
  void signal_group(int signal) const;
  /// Exit status, 128+N for a signal. deadline_exceeded: it still runs; cancelled: it does, and `stop_fd` (-1: none) is
  /// readable.
  Result<int> wait(Deadline deadline, int stop_fd = -1);
  /// SIGKILL to the group, and reaps. Gives up on one that not even that ends within 10 s: it waits for a device.
  void end();

 private:
  void reap(Deadline deadline);

  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

/// Reads all of a pipe, at most `bytes_max`; the rest is dropped.
std::string read_to_end(int fd, std::size_t bytes_max);
/// {to read, to write}, both closed on exec.
Result<std::pair<UniqueFd, UniqueFd>> make_pipe();

}  // namespace flynn::process
