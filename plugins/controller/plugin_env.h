/// A plugin's configuration as the environment of its system app, and back.
///
/// {"head_timeout_ms": 5000} is HEAD_TIMEOUT_MS=5000: strings stand as they are, everything else as JSON text. What a
/// text means is said by the schema of the plugin's manifest. Pure. Thread: [any].
#pragma once

#include <string>
#include <string_view>

#include "api_error.h"
#include "document.h"

namespace flynn::controller {

std::string env_name(std::string_view key);
json::object env_of_config(const json::object& config);

/// Without members that equal the schema's default, so that another version's default can take effect. An error names
/// the variable; never its value, which may be a secret.
Outcome<json::object> config_of_env(const json::object& schema, const json::object& env);

/// The variables of members that the schema marks as secret ("writeOnly").
json::object secrets_of_env(const json::object& schema, const json::object& env);
json::object env_without_secrets(const json::object& schema, const json::object& env);

}  // namespace flynn::controller
