/// Manual pages, from the table of commands.
#pragma once

#include <span>
#include <string>

#include "command.h"

namespace flynn::cli {

/// "flynn-env-set" for "env set".
std::string man_name(std::string_view command);
/// The page of one command, in man(7).
std::string man_page(const Command& command);
/// flynn(1): the overview.
std::string man_overview(std::span<const Command> table);

/// Writes flynn.1 and a page for each command into `folder`, which is made when missing.
Status write_man(const std::string& folder, std::span<const Command> table);

}  // namespace flynn::cli
