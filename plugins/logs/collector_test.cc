#include "collector.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "flynn/sdk/stream.h"
#include "flynn/sdk/uuid.h"
#include "log_pump.h"
#include "store_door_test.h"

namespace flynn::logs {
namespace {

using namespace std::chrono_literals;
using store::QuietLog;
using store::StoreDoor;

// The store, a log file as conmon writes it, and everything of the plugin but its shell.
class CollectorTest : public testing::Test {
 protected:
  void SetUp() override { start(); }
  void TearDown() override { stop(); }

  void start() {
    logs_ = std::move(LogStore::open(door_.folder() / "logs", {})).value();
    pump_ = std::make_unique<LogPump>();
    pump_->prepare();
    pump_->activate();
    collector_ = std::make_unique<Collector>(door_, log_, *logs_, [this] { pump_->wake(); });
    collector_->prepare();
    collector_->activate();
  }
  void stop() {
    collector_.reset();
    pump_.reset();
    logs_.reset();
  }

  void write_app() { ASSERT_TRUE(store_.put("apps/" + app_, json::object{{"id", app_}}).ok()); }

  void write_status(const std::string& job, const std::string& state) {
    ASSERT_TRUE(
        store_
            .put("jobs/status/h/" + job,
                 json::object{
                     {"app_id", app_}, {"type", "web"}, {"host_id", "h"}, {"state", state}, {"log_path", path_of(job)}})
            .ok());
  }

  std::string path_of(const std::string& job) { return (door_.folder() / (job + ".log")).string(); }
  void print(const std::string& job, const std::string& text) {
    std::ofstream(path_of(job), std::ios::app) << "2026-01-31T12:00:00.1Z stdout F " << text << "\n";
  }

  LineReader follow() {
    auto stream = pump_->open({app_, {}, -1, true}, *logs_->log_of(app_));
    return LineReader(std::move(*stream));
  }
  static std::string next(LineReader& reader) {
    auto status = reader.next(Deadline::after(10s));
    if (!status || *status != LineReader::Status::line) return "no line";
    return string_or(*parse_json_object(reader.text()), "msg");
  }

  StoreDoor door_;
  StoreClient store_{door_};
  QuietLog log_;
  std::string app_ = new_uuid();
  std::unique_ptr<LogStore> logs_;
  std::unique_ptr<LogPump> pump_;
  std::unique_ptr<Collector> collector_;
};

TEST_F(CollectorTest, FollowsTheFilesOfJobsAsTheyAppearAndGrow) {
  write_app();
  auto reader = follow();
  print("j1", "hello");
  write_status("j1", "starting");
  EXPECT_EQ(next(reader), "hello");
  print("j1", "again");
  EXPECT_EQ(next(reader), "again");

  write_status("j2", "starting");  // its file comes later
  print("j2", "second job");
  EXPECT_EQ(next(reader), "second job");
}

TEST_F(CollectorTest, GoesOnAfterARestartWithWhatWasPrintedMeanwhile) {
  write_app();
  print("j1", "one");
  write_status("j1", "up");
  {
    auto reader = follow();
    EXPECT_EQ(next(reader), "one");
  }
  stop();
  print("j1", "two");
  write_status("j1", "down");
  start();

  auto reader = follow();
  EXPECT_EQ(next(reader), "one");
  EXPECT_EQ(next(reader), "two");
  EXPECT_EQ(*reader.next(Deadline::after(50ms)), LineReader::Status::timeout) << "nothing is doubled";
}

TEST_F(CollectorTest, ADeletedAppLosesItsLogAndDoesNotGetItBack) {
  write_app();
  print("j1", "one");
  write_status("j1", "up");
  auto reader = follow();
  EXPECT_EQ(next(reader), "one");

  ASSERT_TRUE(store_.erase("apps/" + app_).ok());
  EXPECT_EQ(*reader.next(Deadline::after(10s)), LineReader::Status::end);
  write_status("j1", "down");
  stop();
  start();

  app_ = new_uuid();  // a job that is collected shows that the earlier status has been seen
  write_app();
  print("j2", "other");
  write_status("j2", "up");
  auto second = follow();
  EXPECT_EQ(next(second), "other");
  EXPECT_EQ(logs_->apps(), std::vector<std::string>{app_});
}

}  // namespace
}  // namespace flynn::logs
