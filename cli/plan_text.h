/// The plan of a swap (admin method plugin.plan) as people read it.
#pragma once

#include <iosfwd>
#include <string>

#include "documents.h"

namespace flynn::cli {

void print_plan(std::ostream& out, const json::object& plan);

/// "up", or while a slot is being changed "swapping: drain (1.2s)". `plugin` is an entry of plugin.list.
std::string state_text(const json::object& plugin);

}  // namespace flynn::cli
