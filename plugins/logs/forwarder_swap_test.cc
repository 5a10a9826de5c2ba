// Two forwarders over the same logs and files, as in a swap.
#include "forwarder_world_test.h"

namespace flynn::logs {
namespace {

using ForwarderSwapTest = ForwarderTest;

TEST_F(ForwarderSwapTest, AQuiescedOneSendsNoMoreAndGoesOnWhereTheOtherWas) {
  Forwarder other(door_, log_, *logs_, folder().string());
  other.prepare();
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  {
    auto peer = server_.accept();
    append(app_, "one");
    EXPECT_EQ(peer.next_text(), "one");
    wait_until_saved();
    forwarder_->quiesce();
    EXPECT_TRUE(peer.ends());
  }
  append(app_, "two");

  other.activate();
  {
    auto peer = server_.accept();
    EXPECT_EQ(peer.next_text(), "two");
    wait_until_saved();
    other.quiesce();
    EXPECT_TRUE(peer.ends());
  }
  append(app_, "three");

  forwarder_->activate();
  auto peer = server_.accept();
  EXPECT_EQ(peer.next_text(), "three");
  append(app_, "four");
  EXPECT_EQ(peer.next_text(), "four");
}

TEST_F(ForwarderSwapTest, OneThatIsOnlyPreparedLeavesTheFilesOfSinksAlone) {
  write_sink(sink_, {{"url", server_.at("127.0.0.1")}});
  auto peer = server_.accept();
  append(app_, "one");
  EXPECT_EQ(peer.next_text(), "one");
  wait_until_saved();
  forwarder_->quiesce();
  const auto strange = folder() / (new_uuid() + ".json");
  std::ofstream(strange) << "{}";

  Forwarder other(door_, log_, *logs_, folder().string());
  other.prepare();
  EXPECT_TRUE(fs::exists(strange));
  other.activate();

  wait_until([&] { return !fs::exists(strange); });
  EXPECT_TRUE(fs::exists(file())) << "of a sink that is there";
}

}  // namespace
}  // namespace flynn::logs
