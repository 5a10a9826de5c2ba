// The checks of `flynn-plugin check`; each is run in a process of its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trial_node.h"

namespace flynn::authoring {

struct Verdict {
  enum class Outcome { pass, fail, skip } outcome = Outcome::pass;
  std::string words;  // what failed, or why it was left out; of a pass: figures
};

struct Check {
  std::string name, title;
  std::function<Verdict(const Trial&)> run;
};

/// In the order in which they are run; those of the contracts are made from the plugin's manifest.
std::vector<Check> checks_for(const Trial& trial);

}  // namespace flynn::authoring
