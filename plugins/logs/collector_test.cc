#include "collector.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

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
    open();
    begin();
  }
  void begin() {
    collector_->prepare();
    collector_->activate();
  }
  void open() {
    logs_ = std::move(LogStore::open(door_.folder() / "logs", {})).value();
    pump_ = std::make_unique<LogPump>();
    pump_->prepare();
    pump_->activate();
    collector_ = std::make_unique<Collector>(door_, log_, *logs_, [this] { pump_->wake(); });
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

// This thread and those that it starts may from now on use nothing but `folder`. False: this kernel has no Landlock.
bool close_all_but(const std::filesystem::path& folder) {
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  const UniqueFd set(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0)));
  const UniqueFd open(::open(folder.c_str(), O_PATH | O_CLOEXEC));
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rules.handled_access_fs;
  rule.parent_fd = open.get();
  return set && ::syscall(SYS_landlock_add_rule, set.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 &&
         ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::syscall(SYS_landlock_restrict_self, set.get(), 0) == 0;
}

// The collector as in a cage: the files of jobs are closed to its threads, and only lent.
class CagedCollectorTest : public CollectorTest {
 protected:
  // What flynn.host/1 does in its own process: the newest file of the job, open.
  class LendingDoor : public Door {
   public:
    LendingDoor(Door& store) : store_(store) {}
    using Door::call;
    Result<Reply> call(std::string_view interface, std::string_view method, const json::object& body, Deadline deadline,
                       const std::vector<int>& fds) override {
      if (interface != "flynn.host/1") return store_.call(interface, method, body, deadline, fds);
      const std::lock_guard lock(mutex_);
      const auto found = files_.find(string_or(body, "job_id"));
      if (method != "Log" || found == files_.end()) return Error{Code::not_found, "there is no log of it"};
      return Reply{{}, UniqueFd(::fcntl(found->second.get(), F_DUPFD_CLOEXEC, 3))};
    }
    void lend(const std::string& job, const std::string& path) {
      const std::lock_guard lock(mutex_);
      files_[job] = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }

   private:
    Door& store_;
    std::mutex mutex_;
    std::map<std::string, UniqueFd> files_;
  };

  void SetUp() override {
    open();
    collector_ = std::make_unique<Collector>(lending_, log_, *logs_, [this] { pump_->wake(); });
    std::thread([this] {
      caged_ = close_all_but(door_.folder() / "logs");
      begin();
    }).join();
    if (!caged_) GTEST_SKIP() << "this kernel has no Landlock";
  }

  LendingDoor lending_{door_};
  bool caged_ = false;
};

TEST_F(CagedCollectorTest, ReadsTheFilesThatTheHostLends) {
  write_app();
  print("j1", "hello");
  lending_.lend("j1", path_of("j1"));
  write_status("j1", "up");
  auto reader = follow();
  EXPECT_EQ(next(reader), "hello");
  print("j1", "again");
  EXPECT_EQ(next(reader), "again");
}

TEST_F(CagedCollectorTest, AsksForTheFileThatTookTheNameOfAnother) {
  write_app();
  print("j1", "hello");
  lending_.lend("j1", path_of("j1"));
  write_status("j1", "up");
  auto reader = follow();
  EXPECT_EQ(next(reader), "hello");

  print("new", "after the turn");
  lending_.lend("j1", path_of("new"));
  std::filesystem::rename(path_of("new"), path_of("j1"));
  EXPECT_EQ(next(reader), "after the turn");
}

TEST_F(CagedCollectorTest, WaitsForAFileThatComesLater) {
  write_app();
  write_status("j1", "starting");
  auto reader = follow();
  EXPECT_EQ(*reader.next(Deadline::after(50ms)), LineReader::Status::timeout);

  print("j1", "late");
  lending_.lend("j1", path_of("j1"));
  EXPECT_EQ(next(reader), "late");
}

}  // namespace
}  // namespace flynn::logs
