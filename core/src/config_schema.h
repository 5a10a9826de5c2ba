// Judges a plugin's configuration by the JSON Schema of its manifest, and fills in the schema's defaults.
#pragma once

#include <string>
#include <string_view>

#include "flynn/sdk/result.h"

namespace flynn::core {

/// Both are JSON objects as text. Returns the configuration with every `default` of `properties` (nested objects too)
/// filled in where a member is absent. invalid_argument names each key at fault and why. Thread: [any].
Result<std::string> apply_config_schema(std::string_view schema_json, std::string_view config_json);

}  // namespace flynn::core
