/// Completion for shells, from the table of commands.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "command.h"

namespace flynn::cli {

/// What may come next on a command line: the words that were given so far, and what fits after them.
struct CompletionState {
  std::string words;              // "", "env", "env set"
  std::vector<std::string> next;  // words of longer commands
  std::vector<Option> options;    // of the command, or the global ones where the words name none
};

std::vector<CompletionState> completion_states(std::span<const Command> table);

std::string bash_completion(std::span<const Command> table);
std::string zsh_completion(std::span<const Command> table);
std::string fish_completion(std::span<const Command> table);

}  // namespace flynn::cli
