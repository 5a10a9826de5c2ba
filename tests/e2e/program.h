// Running real programs from a test: argument vector, environment, deadline, output.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "flynn/sdk/unique_fd.h"

namespace flynn::e2e {

using namespace std::chrono_literals;
using Args = std::vector<std::string>;

struct Outcome {
  int exit_code = -1;  // 128+N for a signal, -1 when it had to be killed at the deadline
  std::string out;     // stdout and stderr as they came
  bool ok() const { return exit_code == 0; }
};

struct RunOptions {
  std::map<std::string, std::string> env = {};  // beside what this process has
  std::string folder = {};                      // working directory
  std::string input = {};                       // stdin
  std::chrono::seconds timeout = 120s;
  std::string errors = {};  // a file for stderr; empty: it goes where stdout goes
};

/// How many times longer than on a machine of our own all may take: FLYNN_TEST_PATIENCE, 1 to 100. For an emulated one.
int patience();

/// Runs to the end. The program's group is killed at the deadline, so nothing stays.
Outcome run(const Args& args, const RunOptions& options = {});

/// A program in the background; ended (SIGTERM, then SIGKILL) by the destructor at the latest.
class Background {
 public:
  Background() = default;
  /// Output goes to the file `log`.
  static Background start(const Args& args, const RunOptions& options, const std::string& log);
  Background(Background&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Background& operator=(Background&& other) noexcept;
  ~Background() { stop(30s); }

  pid_t pid() const { return pid_; }
  bool alive() const;
  void signal(int number) const;
  /// SIGTERM, then SIGKILL after `grace`; false when it had to be killed.
  bool stop(std::chrono::seconds grace);

 private:
  pid_t pid_ = -1;
};

/// Polls `condition` every 20 ms until it holds; false at the deadline, `within` times patience().
template <typename Condition>
bool eventually(std::chrono::milliseconds within, Condition condition);

void pause_for_poll();

template <typename Condition>
bool eventually(std::chrono::milliseconds within, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + within * patience();
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    pause_for_poll();
  }
  return true;
}

}  // namespace flynn::e2e
