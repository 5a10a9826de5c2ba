// The platform's own plugins in cages, under load: the same files, swapped and killed.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>

#include "load_backend.h"
#include "mixed_load.h"
#include "router_node.h"

namespace flynn::load {
namespace {

constexpr int kSwaps = 4, kKills = 10, kTries = 1000, kTryEveryMs = 10;

pid_t process_of(RouterNode& node, const std::string& slot) {
  return static_cast<pid_t>(int_or(node.describe(slot), "process", -1));
}

TEST(CagedPlugins, ServeAndAreSwappedLikeSharedOnes) {
  LoadBackend backend;
  RouterNode node(backend.port());
  node.use_cages();
  ASSERT_EQ(node.start(), "");
  for (const char* slot : {"store", "discovery", "router"}) {
    EXPECT_GT(process_of(node, slot), 1) << slot;
    EXPECT_NE(process_of(node, slot), ::getpid()) << slot;
  }
  const Mix mix;
  MixedLoad load(node.port(), RouterNode::kHost, mix);

  core::SwapOptions options;
  options.probation = std::chrono::milliseconds(0);
  options.drain = std::chrono::seconds(10);
  for (int i = 0; i < kSwaps; ++i) {
    const auto swapped = node.swap(options);
    ASSERT_TRUE(swapped.ok()) << swapped.error().message;
    EXPECT_EQ(swapped->report.connections.lost, 0u);
  }
  options.canary_permille = 200;
  options.canary_for = std::chrono::milliseconds(500);
  const auto canary = node.swap(options);
  const auto result = load.stop();

  EXPECT_TRUE(canary.ok()) << canary.error().message;
  EXPECT_EQ(result.failed, 0u) << result.first_failure;
  EXPECT_EQ(result.tunnels_lost, 0u) << result.first_failure;
  EXPECT_EQ(result.connections,
            static_cast<std::uint64_t>(mix.lanes[kKeepAlive] + mix.lanes[kUpload] + mix.lanes[kDownload]));
}

TEST(CagedPlugins, ComeBackFromEveryKillAndTheOthersStay) {
  LoadBackend backend;
  RouterNode node(backend.port());
  node.use_cages();
  ASSERT_EQ(node.start(), "");
  const pid_t store = process_of(node, "store");
  MixedLoad load(node.port(), RouterNode::kHost);

  for (int i = 0; i < kKills; ++i) {
    const pid_t killed = process_of(node, "router");
    ASSERT_GT(killed, 1);
    ASSERT_EQ(::kill(killed, SIGKILL), 0);
    pid_t now = -1;
    for (int tries = 0; tries < kTries && (now <= 1 || now == killed); ++tries) {
      ::poll(nullptr, 0, kTryEveryMs);
      now = process_of(node, "router");
    }
    ASSERT_GT(now, 1) << string_or(node.describe("router"), "reason");
    ASSERT_NE(now, killed);
  }
  (void)load.stop();

  MixedLoad after(node.port(), RouterNode::kHost);
  ::poll(nullptr, 0, 200);
  const auto result = after.stop();
  EXPECT_EQ(result.failed, 0u) << result.first_failure;
  EXPECT_GT(result.answered[kOneShot], 0u);
  EXPECT_EQ(process_of(node, "store"), store) << "the others are not concerned";
}

}  // namespace
}  // namespace flynn::load
