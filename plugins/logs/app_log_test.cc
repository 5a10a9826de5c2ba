#include "app_log.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "flynn/sdk/stream.h"
#include "job_tail.h"
#include "log_pump.h"
#include "log_store.h"

namespace flynn::logs {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class AppLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "flynn-logs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    reopen();
  }
  void TearDown() override { fs::remove_all(folder_); }

  void reopen(AppLogLimits limits = {}) { log_ = std::move(AppLog::open(folder_ / "app", limits)).value(); }

  static std::string line(const std::string& text, const std::string& stream = "stdout", const std::string& job = "j") {
    Message message;
    message.app_id = "app";
    message.stream = stream;
    message.job_id = job;
    message.msg = text;
    return line_of(message);
  }

  std::vector<std::string> texts(ReadRequest request, LogPump& pump) {
    auto stream = pump.open(std::move(request), log_);
    LineReader reader(std::move(*stream));
    std::vector<std::string> found;
    while (*reader.next(Deadline::after(10s)) == LineReader::Status::line)
      found.push_back(string_or(*parse_json_object(reader.text()), "msg"));
    return found;
  }

  void write_job_file(const std::string& text, std::ios::openmode mode = std::ios::app) {
    std::ofstream(folder_ / "job.log", mode) << text;
  }

  JobTail tail(bool down = false) {
    return JobTail({"job-1", "app", "web", "host", (folder_ / "job.log").string(), down}, log_, [](const std::string&) {
      return Error{Code::unavailable, "nobody lends here"};
    });
  }

  static void run(JobTail& tail) {
    while (*tail.step() == JobTail::Progress::more) {
    }
  }

  std::vector<std::string> all() {
    LogPump pump;
    pump.prepare();
    pump.activate();
    return texts({"app", {}, -1, false}, pump);
  }

  fs::path folder_;
  std::shared_ptr<AppLog> log_;
};

using Texts = std::vector<std::string>;

std::string cri(const std::string& text, const std::string& tag = "F", const std::string& stream = "stdout") {
  return "2026-01-31T12:00:00.123456789+00:00 " + stream + " " + tag + " " + text + "\n";
}

TEST_F(AppLogTest, GivesTheLastLinesAfterFiltering) {
  reopen({.segment_bytes = 300, .total_bytes = 1 << 20});
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(log_->append(line(std::to_string(i), i % 2 == 0 ? "stdout" : "stderr", i < 10 ? "old" : "new")).ok());
  LogPump pump;
  pump.prepare();
  pump.activate();

  EXPECT_EQ(texts({"app", {}, 3, false}, pump), (Texts{"17", "18", "19"}));
  Filter errors;
  errors.streams = {"stderr"};
  EXPECT_EQ(texts({"app", errors, 3, false}, pump), (Texts{"15", "17", "19"}));
  Filter old;
  old.job_id = "old";
  EXPECT_EQ(texts({"app", old, 2, false}, pump), (Texts{"8", "9"}));
  EXPECT_EQ(texts({"app", {}, 0, false}, pump), Texts{});
  EXPECT_EQ(texts({"app", {}, -1, false}, pump).size(), 20u);
}

TEST_F(AppLogTest, KeepsWithinItsLimitAndForgetsTheOldest) {
  reopen({.segment_bytes = 1000, .total_bytes = 5000});
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(log_->append(line(std::to_string(i))).ok());

  EXPECT_LE(log_->bytes(), 5000u);
  const auto kept = all();
  EXPECT_EQ(kept.back(), "199");
  EXPECT_LT(kept.size(), 60u);
  const auto end = log_->end();
  reopen({.segment_bytes = 1000, .total_bytes = 5000});
  EXPECT_EQ(log_->end(), end);
  EXPECT_EQ(all(), kept);
}

TEST_F(AppLogTest, ATornLineIsCutOffAtStart) {
  ASSERT_TRUE(log_->append(line("whole")).ok());
  const auto segment = fs::directory_iterator(folder_ / "app")->path();
  std::ofstream(segment, std::ios::app) << R"({"app_id":"app","msg":"to)";

  reopen();
  ASSERT_TRUE(log_->append(line("next")).ok());

  EXPECT_EQ(all(), (Texts{"whole", "next"}));
}

TEST_F(AppLogTest, AFollowerGetsWhatIsThereAndThenWhatComes) {
  ASSERT_TRUE(log_->append(line("before")).ok());
  LogPump pump;
  pump.prepare();
  pump.activate();
  auto stream = pump.open({"app", {}, -1, true}, log_);
  LineReader reader(std::move(*stream));
  ASSERT_EQ(*reader.next(Deadline::after(10s)), LineReader::Status::line);

  ASSERT_TRUE(log_->append(line("after")).ok());
  pump.wake();

  ASSERT_EQ(*reader.next(Deadline::after(10s)), LineReader::Status::line);
  EXPECT_EQ(string_or(*parse_json_object(reader.text()), "msg"), "after");
  EXPECT_EQ(pump.followers(), 1u);
  log_->erase();
  pump.wake();
  EXPECT_EQ(*reader.next(Deadline::after(10s)), LineReader::Status::end);
}

TEST_F(AppLogTest, AFollowerThatFallsBehindIsToldWhatItMissed) {
  LogPump pump;
  pump.prepare();
  pump.activate();
  auto stream = pump.open({"app", {}, 0, true}, log_);
  const std::string text(10'000, 'x');
  const int count = 1000;  // 10 MB, more than the socket and the 4 MiB
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(log_->append(line(text)).ok());
    if (i % 50 == 0) pump.wake();
  }
  ASSERT_TRUE(log_->append(line("last")).ok());
  pump.wake();
  LineReader reader(std::move(*stream));

  int got = 0, missed = 0;
  std::string msg;
  while (msg != "last" && missed == 0) {
    ASSERT_EQ(*reader.next(Deadline::after(10s)), LineReader::Status::line);
    const auto document = parse_json_object(reader.text());
    msg = string_or(*document, "msg");
    if (string_or(*document, "source") == "platform") {
      ASSERT_EQ(std::sscanf(msg.c_str(), "reading too slowly: %d messages", &missed), 1) << msg;
    } else {
      ++got;
    }
  }
  EXPECT_GT(missed, 0);
  EXPECT_EQ(got + missed, count + 1) << "counted to the last";
}

TEST_F(AppLogTest, TailsAFileAcrossARestartWithoutLossOrDoubling) {
  write_job_file(cri("one") + cri("tw", "P") + cri("error", "F", "stderr"));
  {
    auto before = tail();
    run(before);
  }
  EXPECT_EQ(all(), (Texts{"one", "error"}));

  reopen();  // as after a kill: nothing but the files
  write_job_file(cri("o") + cri("three"));
  auto after = tail();
  run(after);

  EXPECT_EQ(all(), (Texts{"one", "error", "two", "three"}));
  run(after);
  EXPECT_EQ(all().size(), 4u);
}

TEST_F(AppLogTest, EveryCutOfTheFileGivesTheSameLog) {
  const std::string text = cri("a", "P") + cri("x", "P", "stderr") + cri("b") + cri("y", "F", "stderr") + cri("c");
  for (std::size_t cut = 0; cut <= text.size(); cut += 3) {
    fs::remove_all(folder_ / "app");
    reopen();
    write_job_file(text.substr(0, cut), std::ios::trunc);
    {
      auto before = tail();
      run(before);
    }
    reopen();
    write_job_file(text.substr(cut));
    auto after = tail();
    run(after);
    EXPECT_EQ(all(), (Texts{"ab", "xy", "c"})) << "cut at " << cut;
  }
}

TEST_F(AppLogTest, ReadsAReplacedFileToItsEndAndATruncatedOneFromItsStart) {
  write_job_file(cri("old 1"));
  auto tailed = tail();
  run(tailed);
  write_job_file(cri("old 2"));
  fs::rename(folder_ / "job.log", folder_ / "job.log.away");
  write_job_file(cri("new 1"));
  run(tailed);
  EXPECT_EQ(all(), (Texts{"old 1", "old 2", "new 1"}));

  write_job_file(cri("x"), std::ios::trunc);
  run(tailed);
  EXPECT_EQ(all().back(), "x");
}

TEST_F(AppLogTest, TheMarkOutlivesTheSegmentItWasIn) {
  reopen({.segment_bytes = 500, .total_bytes = 1500});
  write_job_file(cri("from the job"));
  {
    auto before = tail();
    run(before);
  }
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(log_->append(line(std::to_string(i))).ok());
  ASSERT_TRUE(log_->mark_of_job("job-1").has_value());

  reopen({.segment_bytes = 500, .total_bytes = 1500});
  auto after = tail();
  run(after);

  EXPECT_EQ(all().back(), "49") << "the job's line is not collected again";
}

TEST_F(AppLogTest, AFinishedJobIsDoneAtItsEndAndWhatIsNoFileIsRefused) {
  write_job_file(cri("bye"));
  auto ended = tail(true);
  EXPECT_EQ(*ended.step(), JobTail::Progress::more);
  EXPECT_EQ(*ended.step(), JobTail::Progress::finished);

  fs::remove(folder_ / "job.log");
  fs::create_symlink("/etc/passwd", folder_ / "job.log");
  auto hostile = tail();
  EXPECT_FALSE(hostile.step().ok());
}

TEST_F(AppLogTest, AStoreKnowsAppsByTheirFoldersAndRefusesOtherNames) {
  auto store = std::move(LogStore::open(folder_ / "apps", {})).value();
  ASSERT_TRUE((*store->log_of("app-1"))->append(line("x")).ok());
  for (const char* name : {"", "..", "a/b", "a.b", "\xff"}) EXPECT_FALSE(store->log_of(name).ok()) << name;

  auto again = std::move(LogStore::open(folder_ / "apps", {})).value();
  EXPECT_EQ(again->apps(), Texts{"app-1"});
  again->erase("app-1");
  EXPECT_TRUE(again->apps().empty());
  EXPECT_TRUE(fs::is_empty(folder_ / "apps"));
}

}  // namespace
}  // namespace flynn::logs
