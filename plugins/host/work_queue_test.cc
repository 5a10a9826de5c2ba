#include "work_queue.h"

#include <gtest/gtest.h>

#include <future>

namespace flynn::host {
namespace {

class WorkQueueTest : public ::testing::Test {
 protected:
  WorkQueueTest() { queue_.start(2, "test-job-"); }
  ~WorkQueueTest() override { queue_.stop(); }

  void post(const std::string& key, const std::string& name) {
    queue_.post(key, [this, name] {
      const std::lock_guard lock(mutex_);
      done_.push_back(name);
    });
  }
  // Until all that was posted before under the key is done.
  void wait_for(const std::string& key) {
    std::promise<void> reached;
    queue_.post(key, [&] { reached.set_value(); });
    reached.get_future().wait();
  }
  std::vector<std::string> done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  void close() {
    gate_.close();
    gate_.wait_empty();
    queue_.drop();
  }

  Gate gate_;
  std::mutex mutex_;
  std::vector<std::string> done_;
  WorkQueue queue_{gate_};
};

TEST_F(WorkQueueTest, RunsTheTasksOfOneKeyInOrder) {
  gate_.open();
  std::vector<std::string> wanted;
  for (int number = 0; number < 100; ++number) {
    wanted.push_back(std::to_string(number));
    post("a", wanted.back());
  }
  wait_for("a");
  EXPECT_EQ(done(), wanted);
}

TEST_F(WorkQueueTest, DropsWhatComesWhileTheGateIsClosed) {
  post("a", "before it was opened");
  gate_.open();
  post("a", "first");
  wait_for("a");
  close();
  post("a", "while it was closed");
  gate_.open();
  post("a", "second");
  wait_for("a");
  EXPECT_EQ(done(), (std::vector<std::string>{"first", "second"}));
}

TEST_F(WorkQueueTest, ClosingWaitsForWhatRunsAndDropsWhatWaits) {
  gate_.open();
  std::promise<void> begun, go_on;
  queue_.post("a", [&] {
    begun.set_value();
    go_on.get_future().wait();
    const std::lock_guard lock(mutex_);
    done_.push_back("what ran");
  });
  begun.get_future().wait();
  post("a", "what waited");

  gate_.close();
  EXPECT_FALSE(gate_.wait_empty(Deadline::after(std::chrono::milliseconds(1))));
  go_on.set_value();
  close();

  EXPECT_EQ(done(), std::vector<std::string>{"what ran"});
  gate_.open();
  post("a", "what came later");
  wait_for("a");
  EXPECT_EQ(done(), (std::vector<std::string>{"what ran", "what came later"}));
}

}  // namespace
}  // namespace flynn::host
