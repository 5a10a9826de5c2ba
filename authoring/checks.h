// The checks of `flynn-plugin check`; each is run in a process of its own.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "trial_node.h"
#include "verdict.h"

namespace flynn::authoring {

struct Check {
  std::string name, title;
  std::function<Verdict(const Trial&)> run;
  bool by_chance = false;  // what it does depends on the trial's seed
  bool of_contract = false;
  bool is_gate = false;  // once it has failed, what comes after it can't be judged
  std::chrono::seconds limit{120};
};

/// In the order in which they are run; those of the contracts are made from the plugin's manifest.
std::vector<Check> checks_for(const Trial& trial);

}  // namespace flynn::authoring
