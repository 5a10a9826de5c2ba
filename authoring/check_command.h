// flynn-plugin check: runs every check in a process of its own and tells what came of it.
#pragma once

#include <string>
#include <vector>

namespace flynn::authoring {

/// 0: all passed (or were left out, visibly); 1: one failed; 64: the command line is wrong.
int run_check(const std::vector<std::string>& arguments);
/// In the child: one check; its verdict goes to descriptor 3.
int run_one_check(const std::vector<std::string>& arguments);

}  // namespace flynn::authoring
