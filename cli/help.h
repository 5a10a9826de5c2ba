/// Help, from the table of commands.
#pragma once

#include <iosfwd>
#include <span>
#include <string>

#include "command.h"

namespace flynn::cli {

void print_overview(std::ostream& out, std::span<const Command> table);
/// Every command that begins with `words`; false if there is none.
bool print_help(std::ostream& out, std::span<const Command> table, std::span<const std::string> words);
/// {"env set": "usage: …"}: for programs.
void print_help_json(std::ostream& out, std::span<const Command> table);

}  // namespace flynn::cli
