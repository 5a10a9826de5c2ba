// Contract: what plugin-api/interfaces/*.json say of an interface: its methods with the schemas of request and answer,
// and a suite of scenarios that every provider must pass.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trial_node.h"
#include "verdict.h"

namespace flynn::authoring {

struct Method {
  std::string name;
  json::object request, reply;      // JSON Schemas
  std::vector<std::string> errors;  // codes that the example may be answered by, beside what any call may meet
  json::object example;             // a request
  std::uint32_t since = 0;          // the interface's minor that brought it
  bool optional = false;            // may be unimplemented
  bool takes_descriptor = false;    // "fd": the request has one
  bool gives_descriptor = false;    // "stream": so has the answer
};

struct Contract {
  std::string interface;  // "flynn.store/1"
  std::vector<Method> methods;
  std::vector<json::object> suite;         // {"title", "steps": […], "finally": […], "since": minor}
  std::vector<json::value> passing_lines;  // lines of streams that may come at any time, and mean nothing to a scenario

  const Method* method(std::string_view name) const;
};

/// Folder of the contracts: installed beside this program, or in the source tree.
std::string interfaces_folder();
/// Those that have a contract, in order: "flynn.blobstore/1", …
std::vector<std::string> interfaces_with_contract();
/// nullopt: there is none for this interface (a third party's own).
Result<std::optional<Contract>> load_contract(const std::string& interface);

/// Empty when `document` fits, else which key does not and why.
std::string schema_fault(const json::object& schema, const json::object& document);
/// Empty when the answer is as the contract says.
std::string reply_fault(const Method& method, const json::object& body, const std::vector<UniqueFd>& descriptors);

/// Runs one scenario against the plugin; a failure names the step and what came instead. Its "finally" steps are done
/// in any case, and not judged: they clear away what would outlive the node. The steps are described in
/// plugin-api/interfaces/SCENARIOS.md.
Verdict run_scenario(TrialNode& trial, const Contract& contract, const json::object& scenario);

}  // namespace flynn::authoring
