/// What the words of a failure mean: a table of what kernels, loaders, runtimes and the platform print.
#pragma once

#include <optional>
#include <string_view>

#include "error_code.h"

namespace flynn::cli {

struct Diagnosis {
  ErrorCode code;
  std::string_view cause;  // a sentence; empty where the words say it
  std::string_view next;   // what to type or change
};

/// The first row of the table whose pattern is in `text`, without regard to case; nothing when none fits.
std::optional<Diagnosis> diagnose(std::string_view text);

}  // namespace flynn::cli
