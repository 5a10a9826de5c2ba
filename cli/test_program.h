/// Runs the real program in a folder of its own.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace flynn::cli::testing {

struct Outcome {
  int code = -1;  // -1: killed at the deadline
  std::string out;
  std::string err;
};

/// A temporary home and working folder, removed at the end.
class Program {
 public:
  Program();
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Outcome run(const std::vector<std::string>& args, const std::string& input = {}) const;
  /// Keeps stdin open, and sends `signal` once the program has written something.
  Outcome run_and_signal(const std::vector<std::string>& args, int signal) const;
  /// Another program, found in PATH, in the same folder and environment; code 127 when it is not installed.
  Outcome run_other(const std::vector<std::string>& line) const;
  void set(const std::string& name, const std::string& value) { environment_[name] = value; }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  Outcome run_with(std::vector<std::string> line, const std::string& input, int signal) const;

  std::string folder_;
  std::map<std::string, std::string> environment_;
};

}  // namespace flynn::cli::testing
