// in_time: reads of files that may never come back, as on a network file system whose server is away.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "control_thread.h"

namespace flynn::core {

/// What `read` returns, or deadline_exceeded after `limit`; then its thread is left to it, so `read` must own what it
/// uses. Thread: [any].
template <typename T>
Result<T> in_time(const std::string& what, std::chrono::milliseconds limit, std::function<Result<T>()> read) {
  const auto answer = std::make_shared<Result<T>>(Error{});
  ControlThread reader("swap-file", 0);
  const auto returned = reader.run(
      [answer, read = std::move(read)]() -> Result<void> {
        *answer = read();
        return {};
      },
      Deadline::after(limit));
  if (returned) return std::move(*answer);
  return Error{Code::deadline_exceeded, what + ": not done after " + std::to_string(limit.count()) +
                                            " ms; does the disk or the file server that has it answer?"};
}

}  // namespace flynn::core
