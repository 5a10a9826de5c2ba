// Child: the command that sdutil runs, and the signals that sdutil gets while it does.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::sdutil {

/// SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 as a descriptor, from now on for the whole process. Thread: the first.
UniqueFd take_signals();
/// The next of them, 0 when none waits.
int next_signal(int signals);

/// Ends its process (SIGTERM, SIGKILL after 5 s) when it goes out of scope.
class Child {
 public:
  /// The program is found by PATH; the error says why it can't be run. `env` is added to ours.
  static Result<Child> start(const std::vector<std::string>& words, const std::map<std::string, std::string>& env);
  Child() = default;
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child() { stop(); }

  bool runs() const { return pid_ > 0; }
  /// Readable once it has ended.
  int fd() const { return pidfd_.get(); }
  void signal(int number) const;
  /// Its exit status as a shell says it: 128 + N for a signal. Waits for it.
  int status();
  void stop();

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace flynn::sdutil
