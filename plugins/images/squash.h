// From the tar of a layer to the squashfs file that hosts mount.
#pragma once

#include <cstdint>
#include <string>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"
#include "flynn/sdk/worker.h"
#include "layer_plan.h"

namespace flynn::images {

struct SquashedLayer {
  UniqueFd file;   // at its beginning, without a name
  std::string id;  // hex SHA-512/256 of the file
  std::int64_t length = 0;
};

/// Reads `tar` (a regular file) twice, from its beginning; unpacks nothing. The squashfs file is made in `folder` and
/// has no name there. invalid_argument: the tar may not be taken; resource_exhausted: the disk is full. Equal tars give
/// equal trees, but not equal bytes: mksquashfs puts the present time on the root. unavailable: `stop` was asked;
/// deadline_exceeded.
Result<SquashedLayer> squash(int tar, const std::string& folder, const PlanLimits& limits, Deadline deadline,
                             const StopSignal& stop);

}  // namespace flynn::images
