// Two instances over one store and one folder, as in a swap: the files have one writer, and no line is lost or doubled.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"
#include "store_door_test.h"
#include "tests/lone_plugin_test.h"

namespace flynn::logs {
namespace {

constexpr const char* kLogs = "flynn.logs/1";

class LogsPluginTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(store_.folder() / "logs");
    ASSERT_TRUE(client_.put("apps/" + app_, json::object{{"id", app_}, {"name", "shop"}}).ok());
    configure(first_);
    configure(second_);
  }

  void configure(std::optional<LonePlugin>& plugin) {
    plugin.emplace(store_, (store_.folder() / "logs").string());
    ASSERT_TRUE(plugin->configure());
  }
  static void serve(LonePlugin& plugin) {
    ASSERT_TRUE(plugin.start());
    ASSERT_TRUE(plugin.activate());
  }
  static Result<Reply> append(LonePlugin& plugin, const std::string& app, const std::string& msg) {
    return plugin.call(
        kLogs, "Append",
        {{"app_id", app}, {"messages", json::array{{{"source", "app"}, {"stream", "stdout"}, {"msg", msg}}}}});
  }
  static LineReader read(LonePlugin& plugin, const std::string& app, bool follow = true) {
    auto reply = plugin.call(kLogs, "Read", {{"app_id", app}, {"follow", follow}});
    EXPECT_TRUE(reply && reply->fds.size() == 1);
    return LineReader(reply && !reply->fds.empty() ? std::move(reply->fds[0]) : UniqueFd());
  }
  static std::string next(LineReader& reader) {
    auto status = reader.next(Deadline::after(20s));
    if (!status || *status != LineReader::Status::line) return "(no line)";
    return string_or(*parse_json_object(reader.text()), "msg");
  }
  /// The whole log, in the order it was stored in.
  static std::string all(LonePlugin& plugin, const std::string& app) {
    auto reader = read(plugin, app, false);
    std::string text;
    for (auto line = next(reader); line != "(no line)"; line = next(reader)) text += line + " ";
    return text;
  }
  static bool ends(LineReader& reader) {
    auto status = reader.next(Deadline::after(20s));
    return status && *status == LineReader::Status::end;
  }
  void write_status(const std::string& job, const std::string& state) {
    ASSERT_TRUE(
        client_
            .put("jobs/status/h/" + job,
                 json::object{
                     {"app_id", app_}, {"type", "web"}, {"host_id", "h"}, {"state", state}, {"log_path", path_of(job)}})
            .ok());
  }
  std::string path_of(const std::string& job) { return (store_.folder() / (job + ".log")).string(); }
  void print(const std::string& job, const std::string& text) {
    std::ofstream(path_of(job), std::ios::app) << "2026-01-31T12:00:00.1Z stdout F " << text << "\n";
  }

  store::StoreDoor store_;
  StoreClient client_{store_};
  const std::string app_ = new_uuid();
  std::optional<LonePlugin> first_, second_;
};

TEST_F(LogsPluginTest, AnswersCallsRightAfterItsStart) {
  serve(*first_);
  ASSERT_TRUE(append(*first_, app_, "old"));
  ASSERT_TRUE(first_->quiesce());
  ASSERT_TRUE(second_->start());

  ASSERT_TRUE(append(*second_, app_, "new"));
  auto reader = read(*second_, app_);
  ASSERT_TRUE(second_->call(kLogs, "Status"));

  ASSERT_TRUE(second_->activate());
  EXPECT_EQ(next(reader), "old") << "a stream that was opened before is served after";
  EXPECT_EQ(next(reader), "new");
}

TEST_F(LogsPluginTest, AJobThatPrintsThroughSwapsIsCollectedOnceAndInOrder) {
  serve(*first_);
  std::string expected;
  int number = 0;
  const auto print_some = [&] {
    for (int i = 0; i < 200; ++i) {
      print("j1", std::to_string(++number));
      expected += std::to_string(number) + " ";
    }
  };
  const auto wait_for_last = [&](LonePlugin& plugin) {
    auto reader = read(plugin, app_);
    for (std::string line; line != std::to_string(number);) {
      line = next(reader);
      ASSERT_NE(line, "(no line)");
    }
  };
  write_status("j1", "up");

  for (int round = 0; round < 5; ++round) {
    print_some();
    wait_for_last(*first_);
    print_some();  // it may be in the middle of them
    ASSERT_TRUE(first_->quiesce());
    print_some();
    serve(*second_);
    wait_for_last(*second_);
    print_some();
    ASSERT_TRUE(second_->quiesce());
    print_some();
    ASSERT_TRUE(first_->resume());
    wait_for_last(*first_);
    EXPECT_EQ(all(*first_, app_), expected) << "nothing lost, nothing doubled";
    ASSERT_TRUE(second_->stop());
    configure(second_);
  }
}

TEST_F(LogsPluginTest, AQuiescedInstanceEndsItsStreamsAndChangesNothing) {
  serve(*first_);
  ASSERT_TRUE(append(*first_, app_, "one"));
  auto reader = read(*first_, app_);
  EXPECT_EQ(next(reader), "one");

  ASSERT_TRUE(first_->quiesce());
  EXPECT_TRUE(ends(reader));
  serve(*second_);
  write_status("j1", "up");
  print("j1", "two");

  auto other = read(*second_, app_);
  EXPECT_EQ(next(other), "one");
  EXPECT_EQ(next(other), "two");
  auto late = read(*first_, app_);
  EXPECT_TRUE(ends(late)) << "a call that was still inside";
}

TEST_F(LogsPluginTest, AnAppThatWentDuringASwapLosesItsLogAndOthersKeepTheirs) {
  const auto other = new_uuid();
  ASSERT_TRUE(client_.put("apps/" + other, json::object{{"id", other}}).ok());
  serve(*first_);
  ASSERT_TRUE(append(*first_, app_, "one"));
  ASSERT_TRUE(append(*first_, other, "kept"));
  ASSERT_TRUE(append(*first_, "platform", "kept"));
  ASSERT_TRUE(first_->quiesce());
  ASSERT_TRUE(client_.erase("apps/" + app_).ok());
  ASSERT_TRUE(second_->start());
  auto reader = read(*second_, app_);

  ASSERT_TRUE(second_->activate());

  while (next(reader) != "(no line)") {
  }
  EXPECT_EQ(all(*second_, app_), "");
  EXPECT_EQ(all(*second_, other), "kept ");
  EXPECT_EQ(all(*second_, "platform"), "kept ");
}

}  // namespace
}  // namespace flynn::logs
