// ReplySink: a flynn_reply of the core's own that keeps what it is given.
#pragma once

#include <string>
#include <vector>

#include "flynn/plugin.h"
#include "flynn/sdk/call.h"

namespace flynn::core {

/// Thread: one at a time.
class ReplySink {
 public:
  ReplySink();
  ReplySink(const ReplySink&) = delete;
  ReplySink& operator=(const ReplySink&) = delete;
  flynn_reply* table() { return &table_; }
  /// The document parsed, or the error of `status` with the words that came with it.
  Result<Reply> take(flynn_status status);

 private:
  static ReplySink& self(flynn_reply* reply) { return *static_cast<ReplySink*>(reply->ctx); }
  flynn_reply table_{};
  std::string body_, message_;
  std::vector<UniqueFd> fds_;
};

}  // namespace flynn::core
