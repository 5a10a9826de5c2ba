// The router is replaced again and again while every kind of client is served: none of them notices.
#include <gtest/gtest.h>

#include <cstdlib>

#include "load_backend.h"
#include "mixed_load.h"
#include "router_node.h"

namespace flynn::load {
namespace {

constexpr int kSwaps = 12;

core::SwapOptions without_probation() {
  core::SwapOptions options;
  options.probation = std::chrono::milliseconds(0);
  options.drain = std::chrono::seconds(10);
  return options;
}

TEST(SwapUnderLoad, NoClientOfAnyKindNotices) {
  LoadBackend backend;
  RouterNode node(backend.port());
  ASSERT_EQ(node.start(), "");
  const Mix mix;
  MixedLoad load(node.port(), RouterNode::kHost, mix, node.tcp_port());

  std::uint64_t moved = 0;
  for (int i = 0; i < kSwaps; ++i) {
    const auto swapped = node.swap(without_probation());
    ASSERT_TRUE(swapped.ok()) << swapped.error().message;
    EXPECT_TRUE(swapped->report.unmapped) << swapped->report.left_mapped_because;
    EXPECT_EQ(swapped->report.connections.lost, 0u);
    moved += swapped->report.connections.moved;
  }
  const auto result = load.stop();

  EXPECT_EQ(result.failed, 0u) << result.first_failure;
  EXPECT_EQ(result.tunnels_lost, 0u) << result.first_failure;
  EXPECT_EQ(result.tcp_tunnels_lost, 0u) << result.first_failure;
  const auto kept = mix.lanes[kKeepAlive] + mix.lanes[kUpload] + mix.lanes[kDownload];
  EXPECT_EQ(result.connections, static_cast<std::uint64_t>(kept)) << "connections are kept over all swaps";
  EXPECT_GE(moved, static_cast<std::uint64_t>(kSwaps * (kept + mix.lanes[kTunnel] + mix.lanes[kTcpTunnel])));
  for (std::size_t kind = 0; kind < kKinds; ++kind) EXPECT_GT(result.answered[kind], 0u) << kKindNames[kind];
}

TEST(SwapUnderLoad, ACanaryIsNotNoticedEither) {
  LoadBackend backend;
  RouterNode node(backend.port());
  ASSERT_EQ(node.start(), "");
  MixedLoad load(node.port(), RouterNode::kHost, {}, node.tcp_port());

  auto options = without_probation();
  options.canary_permille = 200;
  options.canary_for = std::chrono::milliseconds(800);
  options.probation = std::chrono::milliseconds(300);
  const auto swapped = node.swap(options);
  const auto result = load.stop();

  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  EXPECT_EQ(result.failed, 0u) << result.first_failure;
  EXPECT_EQ(result.tunnels_lost, 0u) << result.first_failure;
  EXPECT_EQ(result.tcp_tunnels_lost, 0u) << result.first_failure;
}

TEST(SwapUnderLoad, NorIsAVersionThatFailsItsProbation) {
  LoadBackend backend;
  RouterNode node(backend.port());
  node.core().gate.descriptors_max = -100'000;  // whatever the new one has is too much
  ASSERT_EQ(node.start(), "");
  const Mix mix;
  MixedLoad load(node.port(), RouterNode::kHost, mix, node.tcp_port());

  for (int i = 0; i < 3; ++i) {
    auto options = without_probation();
    options.probation = std::chrono::seconds(5);
    const auto swapped = node.swap(options);
    ASSERT_FALSE(swapped.ok());
    EXPECT_NE(swapped.error().message.find("rolled back"), std::string::npos) << swapped.error().message;
  }
  const auto result = load.stop();

  EXPECT_EQ(result.failed, 0u) << result.first_failure;
  EXPECT_EQ(result.tunnels_lost, 0u) << result.first_failure;
  EXPECT_EQ(result.tcp_tunnels_lost, 0u) << result.first_failure;
  EXPECT_EQ(result.connections,
            static_cast<std::uint64_t>(mix.lanes[kKeepAlive] + mix.lanes[kUpload] + mix.lanes[kDownload]));
}

}  // namespace
}  // namespace flynn::load
