// What an image manifest must be before it becomes an artifact.
#pragma once

#include <string>
#include <vector>

#include "flynn/sdk/json.h"

namespace flynn::images {

/// The ids of the layers, the first one lowest. invalid_argument: it is no manifest that a job could run.
Result<std::vector<std::string>> layers_of(const json::object& manifest);

/// What the controller is asked to register: the same manifest is the same artifact.
json::object artifact_of(const json::object& manifest);

}  // namespace flynn::images
