#include "control_thread.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "in_time.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

ControlStep noting(std::vector<std::string>& notes, const char* name, Result<void> result = {}) {
  return {name,
          [&notes, name, result] {
            notes.emplace_back(name);
            return result;
          },
          1s};
}

// Held by a step until the test lets it go.
class Latch {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    opened_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

TEST(ControlThread, RunsARowInOrderAndTellsTheTimeOfEach) {
  std::vector<std::string> notes;
  ControlThread thread("row", 0);

  const auto outcome = thread.run_row({noting(notes, "one"), noting(notes, "two"), noting(notes, "three")}, {});

  EXPECT_TRUE(outcome.result.ok());
  EXPECT_EQ(notes, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(outcome.ms.size(), 3u);
}

TEST(ControlThread, BeginsNoStepAfterOneThatFails) {
  std::vector<std::string> notes;
  ControlThread thread("row", 0);

  const auto outcome = thread.run_row(
      {noting(notes, "one"), noting(notes, "two", Error{Code::conflict, "no"}), noting(notes, "three")}, {});

  ASSERT_FALSE(outcome.result.ok());
  EXPECT_EQ(outcome.result.error().message, "no");
  EXPECT_EQ(notes, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(outcome.ms.size(), 2u);
  EXPECT_TRUE(thread.run_row({noting(notes, "again")}, {}).result.ok());
}

TEST(ControlThread, GivesUpAtAStepsOwnLimitAndNeverBeginsTheNext) {
  std::vector<std::string> notes;
  const auto latch = std::make_shared<Latch>();
  ControlThread thread("row", 0);
  const ControlStep hangs{"hangs",
                          [latch]() -> Result<void> {
                            latch->wait();
                            return {};
                          },
                          30ms};

  const auto outcome = thread.run_row({noting(notes, "one"), hangs, noting(notes, "three")}, {});

  ASSERT_FALSE(outcome.result.ok());
  EXPECT_EQ(outcome.result.error().code, Code::deadline_exceeded);
  EXPECT_EQ(outcome.ms.size(), 2u);
  EXPECT_TRUE(thread.stuck());
  EXPECT_EQ(thread.run([]() -> Result<void> { return {}; }, Deadline::after(1s)).error().code, Code::unavailable);
  latch->open();
  while (thread.stuck()) std::this_thread::yield();
  EXPECT_EQ(notes, (std::vector<std::string>{"one"}));
}

TEST(ControlThread, RunsTheNextFunctionWhenOneThatWasGivenUpReturnsAfterAll) {
  const auto latch = std::make_shared<Latch>();
  ControlThread thread("late", 0);
  const auto late = thread.run(
      [latch]() -> Result<void> {
        latch->wait();
        return Error{Code::conflict, "too late to be told"};
      },
      Deadline::after(10ms));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::deadline_exceeded);
  const auto refused = thread.run([] { return Result<void>(); }, Deadline::after(10ms));
  ASSERT_FALSE(refused.ok()) << "it still runs";
  EXPECT_EQ(refused.error().code, Code::unavailable);
  std::thread soon([&] { latch->open(); });

  const auto next = thread.run([] { return Result<void>(); }, Deadline::after(10s));
  soon.join();

  EXPECT_TRUE(next.ok()) << next.error().message;
}

TEST(ControlThread, TellsOfAStepThatTakesLongWhileItRuns) {
  std::vector<std::string> notes;
  const auto latch = std::make_shared<Latch>();
  ControlThread thread("row", 0);
  const ControlStep slow{"slow",
                         [latch]() -> Result<void> {
                           latch->wait();
                           return {};
                         },
                         10s};
  std::vector<std::size_t> told;

  const auto outcome = thread.run_row({noting(notes, "one"), slow}, [&](std::size_t step) {
    told.push_back(step);
    latch->open();
  });

  EXPECT_TRUE(outcome.result.ok());
  EXPECT_EQ(told, (std::vector<std::size_t>{1}));
}

TEST(InTime, GivesWhatWasReadOrSaysWhatDidNotComeBack) {
  const auto latch = std::make_shared<Latch>();

  const auto read = in_time<int>("read x.so", 10s, [] { return Result<int>(7); });
  const auto refused = in_time<int>("read x.so", 10s, [] { return Result<int>(Error{Code::not_found, "gone"}); });
  const auto late = in_time<int>("read x.so", 20ms, [latch] {
    latch->wait();
    return Result<int>(7);
  });
  latch->open();

  EXPECT_EQ(read.value_or(0), 7);
  EXPECT_EQ(refused.error().message, "gone");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::deadline_exceeded);
  EXPECT_EQ(late.error().message.find("read x.so: not done after 20 ms"), 0u) << late.error().message;
}

}  // namespace
}  // namespace flynn::core
