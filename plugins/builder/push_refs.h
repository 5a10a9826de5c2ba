// Which of the references of a push is deployed.
#pragma once

#include <string>

#include "flynn/sdk/json.h"

namespace flynn::builder {

struct DeployRef {
  std::string commit, branch;
};

/// `refs`: [[old, new, name], …]. The error's text is for the one who pushes. Pure.
Result<DeployRef> choose_ref(const json::array& refs);

}  // namespace flynn::builder
