// Contract: what plugin-api/interfaces/*.json say of an interface: its methods, what they need, and a suite of
// scenarios that every provider must pass.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trial_node.h"

namespace flynn::authoring {

struct Contract {
  std::string interface;  // "flynn.store/1"
  json::object methods;   // name -> {"needs": {member: type}, "example": {…}, "since": minor}
  json::array suite;      // [{"title", "steps": […]}]
};

/// Folder of the contracts: installed beside this program, or in the source tree.
std::string interfaces_folder();
/// nullopt: there is none for this interface (a third party's own).
Result<std::optional<Contract>> load_contract(const std::string& interface);

/// Runs one scenario against the plugin; empty when it holds, else the step and what came instead. A step:
/// {"call": method, "body": {…}, "expect": subset of the reply | "error": code, "text": sent as descriptor 0,
///  "reply_text": what the reply's descriptor gives, "lines": subsets of the NDJSON lines that it gives, in order,
///  "save": {name: member}}; a string "$name" in a body is what was saved. In `expect` "*" stands for anything.
std::string run_scenario(TrialNode& trial, const std::string& interface, const json::object& scenario);

}  // namespace flynn::authoring
