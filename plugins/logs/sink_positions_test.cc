#include "sink_positions.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "flynn/sdk/unique_fd.h"

namespace flynn::logs {
namespace {

namespace fs = std::filesystem;
using Positions = std::map<std::string, std::uint64_t>;

class SinkPositionsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "flynn-sink-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path() const { return (folder_ / "a.json").string(); }

  fs::path folder_;
};

TEST_F(SinkPositionsTest, WhatIsNotConfirmedIsSentAgain) {
  SinkPositions positions(path());
  positions.sent("a", 100, 1000);
  positions.sent("b", 50, 1500);
  positions.sent("a", 200, 2000);

  positions.confirm(1999);

  EXPECT_EQ(positions.confirmed(), (Positions{{"a", 100}, {"b", 50}}));
  EXPECT_EQ(positions.next("a"), 200u);
  EXPECT_TRUE(positions.awaits_confirmation());
  positions.rewind();
  EXPECT_EQ(positions.next("a"), 100u);
  EXPECT_FALSE(positions.awaits_confirmation());
  positions.confirm(5000);  // of the next connection
  EXPECT_EQ(positions.confirmed(), (Positions{{"a", 100}, {"b", 50}}));
}

TEST_F(SinkPositionsTest, AFileHoldsWhatIsConfirmedAlone) {
  SinkPositions positions(path());
  EXPECT_FALSE(*positions.load()) << "a new sink";
  positions.sent("a", 100, 10);
  positions.confirm(10);
  positions.sent("a", 200, 20);
  EXPECT_TRUE(positions.unsaved());

  ASSERT_TRUE(positions.save());

  EXPECT_FALSE(positions.unsaved());
  SinkPositions next(path());
  ASSERT_TRUE(*next.load());
  EXPECT_EQ(next.confirmed(), (Positions{{"a", 100}}));
  EXPECT_EQ(next.next("a"), 100u);
  EXPECT_EQ(next.next("other"), 0u);
  EXPECT_FALSE(fs::exists(path() + ".next"));
}

TEST_F(SinkPositionsTest, AForgottenAppDoesNotComeBackByALateConfirmation) {
  SinkPositions positions(path());
  positions.sent("a", 100, 10);
  positions.sent("b", 70, 20);

  positions.forget_others_than({"b"});
  positions.confirm(20);

  EXPECT_EQ(positions.confirmed(), (Positions{{"b", 70}}));
  EXPECT_EQ(positions.next("a"), 0u);
}

TEST_F(SinkPositionsTest, AFileThatIsNoneIsAnErrorNotANewSink) {
  std::ofstream(path()) << "{\"v\":1,\"posi";
  SinkPositions positions(path());

  EXPECT_EQ(positions.load().error().code, Code::invalid_argument);
}

TEST_F(SinkPositionsTest, WhatCouldNotBeSavedStaysUnsaved) {
  SinkPositions positions((folder_ / "missing" / "a.json").string());
  positions.set("a", 1);

  EXPECT_FALSE(positions.save());
  EXPECT_TRUE(positions.unsaved());
}

TEST_F(SinkPositionsTest, WhatCouldNotBeSyncedReplacesNothing) {
  SinkPositions positions(path());
  positions.set("a", 1);
  ASSERT_TRUE(positions.save());
  positions.set("a", 2);
  const std::string fresh = path() + ".next";  // a pipe takes bytes and can't be synced
  ASSERT_EQ(::mkfifo(fresh.c_str(), 0600), 0);
  const UniqueFd reader(::open(fresh.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));

  const auto saved = positions.save();

  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message.find("sync"), std::string::npos) << saved.error().message;
  EXPECT_TRUE(positions.unsaved());
  SinkPositions next(path());
  ASSERT_TRUE(*next.load());
  EXPECT_EQ(next.confirmed(), (Positions{{"a", 1}}));
}

}  // namespace
}  // namespace flynn::logs
