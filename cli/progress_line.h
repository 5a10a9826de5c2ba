/// One line that tells how long work stands, on a terminal only, and is gone when the work is done.
#pragma once

#include <string_view>

namespace flynn::cli {

/// Writes to stderr, and only when that is a terminal that can erase a line (TERM is not "dumb"). Uses no colour.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// In place of what was shown before; cut at the width of the terminal.
  void show(std::string_view text);
  void clear();

 private:
  bool wanted_;
  bool shown_ = false;
};

}  // namespace flynn::cli
