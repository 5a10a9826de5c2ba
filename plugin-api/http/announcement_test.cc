// A service is registered while the gate is open, and not after.
#include "announcement.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>
#include <vector>

namespace flynn::http {
namespace {

/// Discovery as an announcement meets it; tells what it was asked. Calls can be kept inside.
class Discovery : public Door, public Log {
 public:
  using Door::call;
  Result<Reply> call(std::string_view, std::string_view method, const json::object& body, Deadline,
                     const std::vector<int>&) override {
    std::unique_lock lock(mutex_);
    asked_.push_back(std::string(method) + " " + string_or(body, "service") + "/" + string_or(body, "id"));
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !held_; });
    return Reply{{{"lease", "lease-" + std::to_string(asked_.size())}}};
  }
  void write(LogLevel, std::string_view, const json::object&) override {}

  void hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  bool wait_for_calls(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return asked_.size() >= count; });
  }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> asked_;
  bool held_ = false;
};

class AnnouncementTest : public testing::Test {
 protected:
  AnnouncementTest() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  UniqueFd socket_;
  Discovery discovery_;
};

TEST_F(AnnouncementTest, IsSilentUntilItIsActivated) {
  Announcement announcement(discovery_, discovery_, {"web", "one", "announce"}, socket_.get());
  EXPECT_TRUE(discovery_.asked().empty());

  announcement.activate();

  ASSERT_TRUE(discovery_.wait_for_calls(1));
  EXPECT_EQ(discovery_.asked().front(), "Register web/one");
}

TEST_F(AnnouncementTest, RegistersAgainWhenItIsResumed) {
  Announcement announcement(discovery_, discovery_, {"web", "one", "announce"}, socket_.get());
  announcement.activate();
  ASSERT_TRUE(discovery_.wait_for_calls(1));

  announcement.quiesce();
  EXPECT_EQ(discovery_.asked().size(), 1u);
  announcement.activate();

  ASSERT_TRUE(discovery_.wait_for_calls(2));
  EXPECT_EQ(discovery_.asked().back(), "Register web/one") << "another instance had the name meanwhile";
}

TEST_F(AnnouncementTest, QuiesceWaitsForTheCallThatIsOnItsWay) {
  Announcement announcement(discovery_, discovery_, {"web", "one", "announce"}, socket_.get());
  discovery_.hold(true);
  announcement.activate();
  ASSERT_TRUE(discovery_.wait_for_calls(1));
  std::atomic<bool> quiet = false;
  std::thread swap([&] {
    announcement.quiesce();
    quiet = true;
  });

  EXPECT_FALSE(quiet);
  discovery_.hold(false);
  swap.join();

  EXPECT_EQ(discovery_.asked().size(), 1u);
}

}  // namespace
}  // namespace flynn::http
