// A different router: HAProxy takes the slot of ours under load, and gives it back.
#include <gtest/gtest.h>

#include "load_backend.h"
#include "mixed_load.h"
#include "router_node.h"

namespace flynn::load {
namespace {

core::SwapOptions without_probation() {
  core::SwapOptions options;
  options.probation = std::chrono::milliseconds(0);
  options.drain = std::chrono::seconds(10);
  return options;
}

// Connections can't move between two kinds of router: kept ones are told to close. Clients that connect for each
// request, upload slowly or download for long notice nothing.
Mix without_kept_connections() {
  Mix mix;
  mix.lanes = {0, 6, 3, 3, 0};
  return mix;
}

TEST(OtherRouter, TakesTheSlotUnderLoadAndGivesItBack) {
  LoadBackend backend;
  RouterNode node(backend.port());
  ASSERT_EQ(node.start(), "");
  MixedLoad load(node.port(), RouterNode::kHost, without_kept_connections());

  for (int i = 0; i < 3; ++i) {
    const auto away = node.swap(HAPROXY_SO, without_probation());
    ASSERT_TRUE(away.ok()) << away.error().message;
    EXPECT_TRUE(away->report.unmapped) << away->report.left_mapped_because;
    EXPECT_GE(int_or(node.router_figures(), "requests", -1), 0) << "the same contract";
    const auto back = node.swap(RouterNode::own_router(), without_probation());
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_TRUE(back->report.unmapped) << back->report.left_mapped_because;
  }
  const auto result = load.stop();

  EXPECT_EQ(result.failed, 0u) << result.first_failure;
  for (const auto kind : {kOneShot, kUpload, kDownload}) EXPECT_GT(result.answered[kind], 0u) << kKindNames[kind];
}

}  // namespace
}  // namespace flynn::load
