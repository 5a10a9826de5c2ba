#include "flynn/sdk/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

namespace flynn {
namespace {

TEST(Gate, IsClosedAtFirst) {
  Gate gate;
  EXPECT_FALSE(gate.enter());
  gate.open();
  EXPECT_TRUE(gate.enter());
}

TEST(Gate, LetsNobodyInOnceItIsClosed) {
  Gate gate;
  gate.open();
  gate.close();
  EXPECT_FALSE(gate.enter());
  EXPECT_TRUE(gate.wait_empty());
}

TEST(Gate, IsWaitedForUntilTheLastHasLeft) {
  Gate gate;
  gate.open();
  std::optional<Gate::Pass> inside(gate.enter());
  gate.close();
  EXPECT_FALSE(gate.wait_empty(Deadline::after(std::chrono::milliseconds(5))));

  std::atomic<bool> left = false;
  std::thread worker([&] {
    left = true;
    inside.reset();
  });
  EXPECT_TRUE(gate.wait_empty());
  EXPECT_TRUE(left);
  worker.join();
}

TEST(Gate, IsLeftOnceByAPassThatMoved) {
  Gate gate;
  gate.open();
  {
    auto first = gate.enter();
    const auto second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what it promises
    EXPECT_FALSE(gate.wait_empty(Deadline::after(std::chrono::nanoseconds(0))));
  }
  EXPECT_TRUE(gate.wait_empty(Deadline::after(std::chrono::nanoseconds(0))));
}

}  // namespace
}  // namespace flynn
