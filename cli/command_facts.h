/// What a script needs to know about each command: whether it changes something, and what it prints with --json.
#pragma once

#include <string_view>

#include "command.h"

namespace flynn::cli {

struct CommandFacts {
  std::string_view name;
  Effect effect;
  std::string_view document;  // docs/cli-json.md explains the notation
};

/// The facts about the command of that name; null when the table lacks it, which a test forbids.
const CommandFacts* facts_of(std::string_view name);

/// docs/cli-json.md, as the table of commands says it.
std::string document_reference(std::span<const Command> table);

}  // namespace flynn::cli
