// A program is reaped whatever happens to the one that started it.
#include "child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

namespace flynn::process {
namespace {

/// As long as it lives this process can open no more descriptors than are left.
class NoDescriptors {
 public:
  /// `left`: how many may be opened, all with high numbers.
  explicit NoDescriptors(int left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = 100;
    ::setrlimit(RLIMIT_NOFILE, &low);
    for (;;) {
      UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!next) break;
      taken_.push_back(std::move(next));
    }
    for (; left > 0; --left) taken_.pop_back();
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
  std::vector<UniqueFd> taken_;
};

bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

TEST(Child, IsKilledAndReapedWhenItCannotBeWatched) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ASSERT_FALSE(has_children());
  {
    const NoDescriptors none(1);  // the one that the child's is moved to

    const auto child = Child::start({"sleep", "1000"}, {{null.get(), 0}});

    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().message.find("watch sleep"), 0U) << child.error().message;
  }
  EXPECT_FALSE(has_children());
}

TEST(Child, GivesItsStatusOrItsSignal) {
  const Deadline deadline = Deadline::after(std::chrono::seconds(60));
  auto fails = Child::start({"false"}, {});
  auto sleeps = Child::start({"sleep", "1000"}, {});
  ASSERT_TRUE(fails && sleeps);

  sleeps->signal_group(SIGTERM);

  EXPECT_EQ(*fails->wait(deadline), 1);
  EXPECT_EQ(*sleeps->wait(deadline), 128 + SIGTERM);
  EXPECT_FALSE(has_children());
}

TEST(Child, SaysThroughAPipeWhatItHasToSay) {
  auto words = make_pipe();
  ASSERT_TRUE(words);
  auto echo = Child::start({"echo", "hello"}, {{words->second.get(), 1}});
  ASSERT_TRUE(echo);
  words->second.reset();

  EXPECT_EQ(read_to_end(words->first.get(), 4), "hell") << "the rest is dropped";
  EXPECT_EQ(*echo->wait(Deadline::after(std::chrono::seconds(60))), 0);
}

}  // namespace
}  // namespace flynn::process
