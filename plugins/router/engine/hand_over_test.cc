// Connections move from one data plane to another, with their sockets.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::Answer;
using testing::deadline_in;
using testing::echo_requests;
using testing::Peer;
using testing::TestBackend;
using testing::TestRouter;

const std::string kGet = "GET /x HTTP/1.1\r\nHost: app.test\r\n\r\n";
constexpr int kSoonMs = 5'000;

Settings one_thread() {
  Settings settings;
  settings.threads = 1;
  return settings;
}

/// Moves what is idle, as a swap does; the count of connections.
std::size_t move_idle(DataPlane& from, DataPlane& to) {
  std::size_t moved = 0;
  while (true) {
    auto batch = from.hand_over(1000, deadline_in(kSoonMs));
    if (batch.connections.empty()) return moved;
    moved += batch.connections.size();
    const bool last = batch.left == 0;
    EXPECT_EQ(to.take_over(std::move(batch.connections), from.port()), "");
    if (last) return moved;
  }
}

// What a client has sent reaches the loop in its own time.
void wait_for_bytes_in(const DataPlane& plane, std::uint64_t bytes) {
  const auto deadline = deadline_in(kSoonMs);
  while (plane.totals().bytes_in < bytes && deadline_in(0) < deadline) std::this_thread::yield();
  ASSERT_GE(plane.totals().bytes_in, bytes);
}

std::vector<MovingConnection> duplicates(const std::vector<MovingConnection>& all) {
  std::vector<MovingConnection> copies;
  for (const auto& one : all) {
    auto& copy = copies.emplace_back();
    copy.ip = one.ip;
    copy.client.reset(::fcntl(one.client.get(), F_DUPFD_CLOEXEC, 0));
    copy.timeout_ms = one.timeout_ms;
  }
  return copies;
}

TEST(HandOver, AnIdleConnectionAnswersTheNextRequestAtItsNewPlace) {
  TestBackend backend(echo_requests);
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.client();
  ASSERT_EQ(client.ask(kGet).status, 200);
  old.plane.stop_accepting();

  EXPECT_EQ(move_idle(old.plane, next.plane), 1u);

  EXPECT_EQ(old.plane.totals().connections, 0u);
  const auto answer = client.ask(kGet);
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.has("Connection: close"));
  EXPECT_NE(answer.body.find("X-Forwarded-For: 127.0.0.1\r\n"), std::string::npos);
  EXPECT_EQ(next.plane.totals().requests, 1u);
  EXPECT_TRUE(old.plane.drain(deadline_in(kSoonMs)));
  EXPECT_EQ(client.ask(kGet).status, 200);
}

TEST(HandOver, ManyMoveInBatchesAndAllGoOn) {
  TestBackend backend(echo_requests);
  TestRouter old({backend.addr()}), next({backend.addr()});
  std::vector<Peer> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(old.client());
  for (auto& client : clients) ASSERT_EQ(client.ask(kGet).status, 200);

  EXPECT_EQ(move_idle(old.plane, next.plane), clients.size());

  for (auto& client : clients) EXPECT_EQ(client.ask(kGet).status, 200);
  EXPECT_EQ(next.plane.totals().requests, clients.size());
}

TEST(HandOver, AHalfReadHeadGoesAlong) {
  TestBackend backend(echo_requests);
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.client();
  client.send(kGet.substr(0, 11));
  wait_for_bytes_in(old.plane, 11);

  auto batch = old.plane.hand_over(1000, deadline_in(kSoonMs));
  ASSERT_EQ(batch.connections.size(), 1u);
  EXPECT_EQ(batch.connections[0].received, kGet.substr(0, 11));
  EXPECT_GT(batch.connections[0].timeout_ms, 5'000u) << "the head's time-out goes on";
  client.send(kGet.substr(11) + kGet);  // comes while nobody has the connection
  ASSERT_EQ(next.plane.take_over(std::move(batch.connections), "80"), "");

  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(client.read_answer().status, 200);
  EXPECT_EQ(next.plane.totals().requests, 2u);
}

TEST(HandOver, ADownloadEndsWhereItBeganAndThenItsConnectionMoves) {
  std::promise<void> go_on;
  auto gone_on = go_on.get_future().share();
  TestBackend backend([gone_on](Peer& peer) {
    while (!peer.read_head().empty()) {
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + std::string(200'000, 'a'));
      gone_on.wait();
      peer.send(std::string(200'000, 'b'));
    }
  });
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.client();
  client.send(kGet);
  const auto first = client.read_head();
  EXPECT_EQ(first.find("Connection: close"), std::string::npos);
  old.plane.stop_accepting();

  const auto nothing = old.plane.hand_over(1000, deadline_in(30));
  EXPECT_TRUE(nothing.connections.empty());
  EXPECT_EQ(nothing.left, 1u);
  auto waiting = std::async(std::launch::async, [&] { return move_idle(old.plane, next.plane); });
  go_on.set_value();

  EXPECT_EQ(client.read_exactly(400'000), std::string(200'000, 'a') + std::string(200'000, 'b'));
  EXPECT_EQ(waiting.get(), 1u);
  EXPECT_EQ(old.plane.totals().requests, 1u);
  EXPECT_TRUE(client.ask(kGet).complete);
  EXPECT_EQ(next.plane.totals().requests, 1u);
}

TEST(HandOver, AnswersAtOnceWhenNothingCanMoveAnyMore) {
  TestBackend backend([](Peer& peer) { peer.read_to_end(); });
  TestRouter old({backend.addr()});
  auto one_shot = old.client();
  one_shot.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
  wait_for_bytes_in(old.plane, 1);

  const auto batch = old.plane.hand_over(1000, deadline_in(60'000));

  EXPECT_TRUE(batch.connections.empty());
  EXPECT_EQ(batch.left, 0u);
}

TEST(HandOver, MovesBackAndTheOldOneAcceptsAgain) {
  TestBackend backend(echo_requests);
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.client();
  ASSERT_EQ(client.ask(kGet).status, 200);
  old.plane.stop_accepting();
  ASSERT_EQ(move_idle(old.plane, next.plane), 1u);
  ASSERT_EQ(client.ask(kGet).status, 200);

  ASSERT_EQ(old.plane.accept(old.listener.get()), "");
  ASSERT_EQ(move_idle(next.plane, old.plane), 1u);

  const auto answer = client.ask(kGet);
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.has("Connection: close"));
  EXPECT_EQ(old.client().ask(kGet).status, 200);
  EXPECT_EQ(old.plane.totals().requests, 3u);
}

TEST(HandOver, IsTakenAsAWholeOrNotAtAll) {
  TestBackend backend(echo_requests);
  auto small = one_thread();
  small.connections_max = 3;
  TestRouter old({backend.addr()}, one_thread()), next({backend.addr()}, small);
  std::vector<Peer> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(old.client());
  for (auto& client : clients) ASSERT_EQ(client.ask(kGet).status, 200);
  auto batch = old.plane.hand_over(1000, deadline_in(kSoonMs));
  ASSERT_EQ(batch.connections.size(), 5u);
  for (auto& client : clients) client.send(kGet);

  EXPECT_NE(next.plane.take_over(duplicates(batch.connections), "80"), "");
  EXPECT_EQ(old.plane.take_over(std::move(batch.connections), "80"), "");

  for (auto& client : clients) EXPECT_EQ(client.read_answer().status, 200) << "given back, with what had come";
  EXPECT_EQ(next.plane.totals().requests, 0u);
  EXPECT_EQ(next.plane.totals().connections, 0u);
}

TEST(HandOver, AShareOfTheNewlyAcceptedGoesUnread) {
  TestBackend backend(echo_requests);
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto idle = old.client();
  ASSERT_EQ(idle.ask(kGet).status, 200);
  std::atomic<bool> ends{false};
  std::thread pump([&] {
    while (!ends) {
      auto batch = old.plane.hand_over(50, deadline_in(20));
      EXPECT_EQ(next.plane.take_over(std::move(batch.connections), "80"), "");
    }
  });

  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(old.client().ask(kGet).status, 200);
  ends = true;
  pump.join();

  // Fewer than the share when this machine lets the pump wait for so long that the old one serves them itself.
  EXPECT_GE(next.plane.totals().requests, 10u);
  EXPECT_LE(next.plane.totals().requests, 65u);
  EXPECT_EQ(old.plane.totals().requests + next.plane.totals().requests, 1'001u);
  EXPECT_TRUE(old.plane.hand_over(0, deadline_in(kSoonMs)).connections.empty());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(old.client().ask(kGet).status, 200);
  EXPECT_EQ(idle.ask(kGet).status, 200) << "a share is of new connections only";
}

TEST(HandOver, AShareThatNobodyFetchesIsServedHere) {
  TestBackend backend(echo_requests);
  TestRouter old({backend.addr()});
  ASSERT_TRUE(old.plane.hand_over(900, deadline_in(1)).connections.empty());

  for (int i = 0; i < 5; ++i) EXPECT_EQ(old.client().ask(kGet).status, 200);

  EXPECT_EQ(old.plane.totals().requests, 5u);
}

}  // namespace
}  // namespace flynn::router
