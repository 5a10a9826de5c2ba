// The checks that the contract of one interface makes.
#pragma once

#include <string>
#include <vector>

#include "checks.h"

namespace flynn::authoring {

/// In the order in which they are run: every method is there and refuses what it must, its answers have the contract's
/// shape, then each scenario of the suite. `minor` is what the plugin's manifest claims: later methods are not asked
/// for. An interface without a contract (a third party's own) gives one check that is skipped.
std::vector<Check> contract_checks(const std::string& interface, std::uint32_t minor);

}  // namespace flynn::authoring
