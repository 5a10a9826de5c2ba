// Attach frames as texts: what a job says to its attacher, and what the attacher says to it
// (plugin-api/interfaces/host.md).
#pragma once

#include <string>
#include <string_view>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/json.h"

namespace flynn::authoring {

/// Reads frames until the one that ends the session: {"stdout", "stderr": texts, "exit": status, or "error": text}.
/// What is no frame of a host is invalid_argument; an end without exit or error is cancelled; deadline_exceeded as it
/// says.
Result<json::object> attach_session(int fd, Deadline deadline);
/// As a client sends it, for the job's standard input; an empty text ends that.
std::string stdin_frame(std::string_view text);

}  // namespace flynn::authoring
