// A check in a process, a process group and a temporary folder of its own: what a plugin breaks, leaves running or
// leaves lying about ends with it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "checks.h"

namespace flynn::authoring {

/// The parent's end: runs this very program with `words` after its name and returns the verdict that it gave. A process
/// that ended without one, or that was not done after `limit`, has failed; the words then say what it was doing.
/// Whatever it started and its temporary folder are gone when this returns. What it prints goes to stderr. From the
/// first call on SIGINT, SIGTERM and SIGHUP end this process here, by 128 + their number, once all that is gone; every
/// child of this process is ended at the end of a check. Thread: one at a time.
Verdict run_check_process(const std::vector<std::string>& words, std::chrono::seconds limit);

/// The child's end. Thread: one at a time.
class CheckReport {
 public:
  /// In a process that run_check_process started; it will not outlive its parent.
  CheckReport();
  /// What is being done now, for the case that nothing more is heard.
  void doing(const std::string& what);
  void verdict(const Verdict& verdict);

 private:
  void write(const std::string& text);
};

/// "pass", "fail", "skip".
const char* outcome_name(Verdict::Outcome outcome);

}  // namespace flynn::authoring
