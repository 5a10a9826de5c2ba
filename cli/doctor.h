/// Checks of this machine, the way to the cluster, the cluster, and the app: each with its cause and remedy.
#pragma once

#include <string>
#include <vector>

#include "error_code.h"
#include "session.h"

namespace flynn::cli {

struct Finding {
  enum class Grade { kOk, kWarning, kFailed } grade = Grade::kOk;
  std::string check;   // what was looked at
  std::string detail;  // what was found
  std::string remedy;  // what to type; empty when all is well
  ErrorCode code = ErrorCode::kUnknown;
};

/// In the order of the way: what depends on a check that failed is left out. Changes nothing.
std::vector<Finding> examine(Session& session);

}  // namespace flynn::cli
