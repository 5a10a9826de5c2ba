// flynn-plugin new: a project of a plugin that builds, tests and loads.
#pragma once

#include <string>
#include <vector>

namespace flynn::authoring {

/// 0; 1: it could not be written (nothing that exists is touched); 64: the command line is wrong.
int run_new(const std::vector<std::string>& arguments);

}  // namespace flynn::authoring
