// WireJob: a job as Flynn's clients describe it (PUT /host/jobs/:id) to our JobSpec. Pure.
#pragma once

#include <string>

#include "flynn/sdk/json.h"
#include "flynn/sdk/result.h"

namespace flynn::host {

/// The document that the scheduler commits (docs/state.md), kind "one_off". invalid_argument names the member that is
/// wrong; unimplemented one that asks for what jobs here never get, or for layers that are no squashfs: to leave it out
/// silently would start another job than the one that was asked for.
Result<json::object> job_spec_of_wire(const json::object& job, const std::string& host_id, const std::string& job_id);

}  // namespace flynn::host
