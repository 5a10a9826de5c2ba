// RestartPlan: how long the keeper waits before it starts the host again. Pure.
#pragma once

#include <algorithm>
#include <chrono>

namespace flynn::core {

class RestartPlan {
 public:
  /// The host ran for `ran` and died. At once after a good run, and the first time; then 100 ms, doubled up to 5 s for
  /// as long as it dies soon.
  std::chrono::milliseconds after_run_of(std::chrono::milliseconds ran) {
    using namespace std::chrono_literals;
    if (ran >= kGoodRun) next_ = 0ms;
    const auto wait = next_;
    next_ = std::clamp(next_ * 2, std::chrono::milliseconds(100ms), std::chrono::milliseconds(5s));
    return wait;
  }

  static constexpr std::chrono::seconds kGoodRun{10};

 private:
  std::chrono::milliseconds next_{0};
};

}  // namespace flynn::core
