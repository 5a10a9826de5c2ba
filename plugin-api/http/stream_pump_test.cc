#include "stream_pump.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <vector>

namespace flynn::http {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr int kRounds = 200;
constexpr std::string_view kOverflow = "event: error\ndata: overflow\n\n";

/// Has more at every look, until it is told that it has overflowed.
class Endless : public Feed {
 public:
  bool take(std::string& out) override {
    if (overflowed) {
      out += kOverflow;
      return false;
    }
    out.append(kPiece, 'x');
    taken += kPiece;
    return true;
  }
  std::atomic<std::size_t> taken{0};
  std::atomic<bool> overflowed{false};
};

/// Counts the pump's rounds.
class Rounds : public Feed {
 public:
  bool take(std::string&) override {
    std::lock_guard lock(mutex_);
    ++count_;
    came_.notify_all();
    return true;
  }
  /// Returns when the pump has gone once over all of its streams, whichever comes first there.
  bool one_more(StreamPump& pump) {
    std::unique_lock lock(mutex_);
    const int until = count_ + 2;
    while (count_ < until) {
      const int seen = count_;
      pump.wake();
      if (!came_.wait_for(lock, std::chrono::seconds(20), [&] { return count_ > seen; })) return false;
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  int count_ = 0;
};

struct Pair {
  UniqueFd ours, pumps;
};

Pair connected() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const timeval patience{20, 0};
  ::setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void given_stream(StreamPump& pump, std::shared_ptr<Feed> feed, UniqueFd& client) {
  auto start = std::make_unique<StreamStart>();
  start->feed = std::move(feed);
  ASSERT_TRUE(pump.add(std::move(start), client));
}

TEST(StreamPump, LeavesWithTheFeedWhatItsClientDoesNotRead) {
  StreamPump pump("test");
  ASSERT_EQ(pump.start(), "");
  auto endless = std::make_shared<Endless>();
  auto rounds = std::make_shared<Rounds>();
  Pair slow = connected(), watching = connected();
  given_stream(pump, endless, slow.pumps);
  given_stream(pump, rounds, watching.pumps);

  for (int i = 0; i < kRounds; ++i) ASSERT_TRUE(rounds->one_more(pump));

  EXPECT_GE(endless->taken, kPiece);
  EXPECT_LT(endless->taken, 2u << 20);
}

TEST(StreamPump, EndsTheStreamOfAFeedThatOverflowedWhileItsClientDidNotRead) {
  StreamPump pump("test");
  ASSERT_EQ(pump.start(), "");
  auto endless = std::make_shared<Endless>();
  auto rounds = std::make_shared<Rounds>();
  Pair slow = connected(), watching = connected();
  given_stream(pump, endless, slow.pumps);
  given_stream(pump, rounds, watching.pumps);
  for (int i = 0; i < kRounds; ++i) ASSERT_TRUE(rounds->one_more(pump));
  const std::size_t held = endless->taken;

  endless->overflowed = true;  // nobody wakes the pump from here on: the client's reading does
  std::string got;
  std::vector<char> chunk(kPiece);
  ssize_t n = 0;
  while ((n = ::recv(slow.ours.get(), chunk.data(), chunk.size(), 0)) > 0) {
    got.append(chunk.data(), static_cast<std::size_t>(n));
  }

  EXPECT_EQ(n, 0);
  EXPECT_EQ(got.size(), held + kOverflow.size());
  EXPECT_TRUE(got.ends_with(kOverflow));
}

}  // namespace
}  // namespace flynn::http
