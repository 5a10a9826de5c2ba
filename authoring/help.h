// Help: asked for by any command in the same words.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace flynn::authoring {

inline bool asks_for_help(const std::vector<std::string>& arguments) {
  return std::any_of(arguments.begin(), arguments.end(),
                     [](const auto& word) { return word == "--help" || word == "-h"; });
}

}  // namespace flynn::authoring
