// SwapPlan: what a swap would do, or why it is refused. The same judge stands before every swap, so that the plan and
// the swap can't disagree.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "elf_probe.h"
#include "flynn/sdk/json.h"
#include "manifest.h"

namespace flynn::core {

/// All that the judge looks at. A snapshot; no code of the new file has run.
struct PlanInput {
  struct Provider {
    InterfaceId interface;
    std::string slot;
    bool running = false;
  };
  struct Dependant {
    std::string slot;
    InterfaceId needs;
  };
  std::string slot;
  bool running = true;                 ///< false: nothing is in force, and the file would just be started
  Manifest old_manifest;               ///< not running: of the version that should; nameless if that has none
  std::string old_digest, old_config;  ///< as it runs
  std::filesystem::path file;
  Result<ElfFacts> file_facts = Error{};
  std::string new_digest;   ///< empty: not asked for, then there is no verdict "no_change"
  std::string config_json;  ///< what the new one would be given, before its schema has judged it
  std::vector<Provider> providers;
  std::vector<Dependant> dependants;  ///< what the running plugins of the other slots require
  std::vector<std::string> lent;      ///< listening sockets that the slot may borrow and that exist
  bool with_canary = false;
};

struct SwapPlan {
  std::vector<std::string> refusals;  ///< all of them
  Code refusal_code = Code::failed_precondition;
  Manifest manifest;   ///< of the new file, when it has one
  std::string config;  ///< judged, defaults filled in; when it suits
  /// The document of the admin method plugin.plan, as far as it follows from the input.
  json::object document;

  /// All refusals in one error; ok when there is none.
  Result<void> verdict(const std::filesystem::path& file) const;
};

/// Pure.
SwapPlan plan_swap(const PlanInput& input);

}  // namespace flynn::core
