// Texts as descriptors: what a check sends beside a call.
#pragma once

#include <string>

#include "flynn/sdk/unique_fd.h"

namespace flynn::authoring {

/// A file in memory with that text, at position 0; empty (an invalid descriptor) when there is no memory.
UniqueFd file_with(const std::string& text);
/// What can be read from it until its end, at most 1 MiB.
std::string text_of(int fd);

}  // namespace flynn::authoring
