// The secrets of a plugin's configuration: the members that its schema marks with "writeOnly": true.
//
// They are never told; whoever sets a configuration without them keeps them as they are. Thread: [any].
#pragma once

#include <string>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::core {

/// `config` without its secrets; their places ("auth_keys", "tls.key") are added to `left_out`, those that are set.
json::object without_secrets(const json::object& schema, const json::object& config,
                             std::vector<std::string>* left_out = nullptr);

/// `wanted`, with the secrets of `in_force` that it does not name. A secret that is null is dropped.
json::object with_kept_secrets(const json::object& schema, json::object wanted, const json::object& in_force);

}  // namespace flynn::core
