// The builder's end of flynn.host/1 Attach: source into standard input, output out as lines.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cancel.h"
#include "flynn/sdk/clock.h"
#include "flynn/sdk/result.h"
#include "flynn/sdk/unique_fd.h"

namespace flynn::builder {

using LineSink = std::function<void(std::string_view line)>;

struct AttachOptions {
  Deadline deadline;
  std::chrono::milliseconds silence_notice{60'000};
  Cancel cancel;
  std::function<void()> on_source_end;
};

/// Relays until the exit frame; the exit status. `source` may be invalid (nothing to send).
/// `cancelled`, `deadline_exceeded`; `unavailable`: the stream ended without an exit frame. Thread: one at a time.
Result<int> relay_job(UniqueFd socket, UniqueFd source, const LineSink& line, const AttachOptions& options);

}  // namespace flynn::builder
