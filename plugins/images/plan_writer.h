// A planned layer as the tar that mksquashfs reads.
#pragma once

#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/worker.h"
#include "layer_plan.h"

namespace flynn::images {

/// Writes `plan` to the socket `out`; the content of files comes from `tar`, the one it was read from, read again from
/// its beginning. cancelled: who reads has gone. unavailable: `stop` was asked. deadline_exceeded: it does not read.
Result<void> write_plan(const LayerPlan& plan, int tar, int out, Deadline deadline, const StopSignal& stop);

}  // namespace flynn::images
