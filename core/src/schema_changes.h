// SchemaChanges: how the configuration schema of one version differs from another's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::core {

/// Paths of properties, "limits.size" for one inside an object, sorted.
struct SchemaChanges {
  struct Changed {
    std::string property, from, to;  // the rule, as JSON
  };
  std::vector<std::string> added, removed;
  std::vector<Changed> changed;

  json::object document() const;
};

/// Both are JSON Schemas as text; what is none counts as empty. Pure.
SchemaChanges compare_schemas(std::string_view older, std::string_view newer);

}  // namespace flynn::core
