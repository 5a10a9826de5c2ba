#include "progress_line.h"

#include <cstdlib>
#include <iostream>

#include "terminal.h"

namespace flynn::cli {
namespace {

constexpr std::string_view kErase = "\r\033[K";

bool can_erase() {
  const char* term = std::getenv("TERM");
  return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

}  // namespace

ProgressLine::ProgressLine() : wanted_(is_terminal(2) && can_erase()) {}

void ProgressLine::show(std::string_view text) {
  if (!wanted_) return;
  std::cerr << kErase << text.substr(0, window_size(2).columns - 1U) << std::flush;
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  std::cerr << kErase << std::flush;
  shown_ = false;
}

}  // namespace flynn::cli
