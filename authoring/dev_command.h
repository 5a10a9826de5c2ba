// flynn-plugin dev: builds at each change of the sources, swaps the plugin into the running node, shows its log.
#pragma once

#include <string>
#include <vector>

namespace flynn::authoring {

/// Until Ctrl-C. 0; 1: the folder or the node is not what it must be; 64: the command line is wrong.
int run_dev(const std::vector<std::string>& arguments);

}  // namespace flynn::authoring
