// Tunnels move from one data plane to another: bytes in order, none lost, each end by itself.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::deadline_in;
using testing::Peer;
using testing::TestBackend;
using testing::TestRouter;

const std::string kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const std::string kSwitch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
constexpr int kSoonMs = 5'000;

std::string noise(std::size_t size, unsigned seed) {
  std::string bytes(size, ' ');
  for (auto& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

void echo(Peer& peer) {
  peer.read_head();
  peer.send(kSwitch);
  for (std::string bytes; !(bytes = peer.read_some()).empty();) peer.send(bytes);
  peer.send("bye");
}

std::uint32_t in_flight(TestRouter& router) {
  return router.builder.publish()->service("app-web")->backends.front()->in_flight.load();
}

/// Gives all that can move to `to`; the count.
std::size_t move(DataPlane& from, DataPlane& to) {
  auto batch = from.hand_over(1000, deadline_in(kSoonMs));
  const auto count = batch.connections.size();
  EXPECT_EQ(to.take_over(std::move(batch.connections), from.port()), "");
  return count;
}

TEST(TunnelMove, GoesOnAtItsNewPlaceAndIsCountedThere) {
  TestBackend backend(echo);
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.client();
  ASSERT_EQ(client.ask(kUpgrade).status, 101);
  ASSERT_EQ(in_flight(old), 1u);

  ASSERT_EQ(move(old.plane, next.plane), 1u);

  EXPECT_EQ(in_flight(old), 0u);
  EXPECT_EQ(old.plane.totals().tunnels, 0u);
  client.send("more");
  EXPECT_EQ(client.read_exactly(4), "more");
  EXPECT_EQ(in_flight(next), 1u);
  EXPECT_EQ(next.plane.totals().tunnels, 1u);
  old.plane.stop();
  client.send("still");
  EXPECT_EQ(client.read_exactly(5), "still");
  client.end_sending();
  EXPECT_EQ(client.read_to_end(), "bye");
}

TEST(TunnelMove, LosesNoByteWhileBothSidesSend) {
  constexpr int kTunnels = 8;
  constexpr std::size_t kBytes = 3'000'000;
  TestBackend backend(echo);
  TestRouter old({backend.addr()}), next({backend.addr()});
  std::vector<Peer> clients;
  for (int i = 0; i < kTunnels; ++i) clients.push_back(old.client());
  for (auto& client : clients) ASSERT_EQ(client.ask(kUpgrade).status, 101);
  std::vector<std::thread> threads;
  std::atomic<int> intact{0};
  std::atomic<unsigned> left{2 * kTunnels};
  for (int i = 0; i < kTunnels; ++i) {
    threads.emplace_back([&, i] {
      clients[static_cast<std::size_t>(i)].send(noise(kBytes, static_cast<unsigned>(i)));
      --left;
    });
    threads.emplace_back([&, i] {
      if (clients[static_cast<std::size_t>(i)].read_exactly(kBytes) == noise(kBytes, static_cast<unsigned>(i)))
        ++intact;
      --left;
    });
  }

  std::size_t moved = 0;
  while (left != 0) moved += move(old.plane, next.plane) + move(next.plane, old.plane);
  for (auto& thread : threads) thread.join();

  EXPECT_EQ(intact, kTunnels);
  EXPECT_GE(moved, 2u * kTunnels);
  for (auto& client : clients) {
    client.end_sending();
    EXPECT_EQ(client.read_to_end(), "bye");
  }
}

TEST(TunnelMove, BringsWhatASlowReaderHasNotTakenYet) {
  const auto bytes = noise(12'000'000, 7);
  TestBackend backend([&](Peer& peer) {
    peer.read_head();
    peer.send(kSwitch);
    peer.send(bytes);
  });
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.client();
  client.send(kUpgrade);
  ASSERT_NE(client.read_head().find("101"), std::string::npos);
  // All buffers fill up until the router has to keep bytes itself.
  MovingConnection moving;
  for (int tries = 0; moving.to_client.empty() && tries < 1'000; ++tries) {
    auto batch = old.plane.hand_over(1000, deadline_in(kSoonMs));
    ASSERT_EQ(batch.connections.size(), 1u);
    moving = std::move(batch.connections.front());
    if (!moving.to_client.empty()) break;
    batch.connections.front() = std::move(moving);
    ASSERT_EQ(old.plane.take_over(std::move(batch.connections), "80"), "");
  }
  ASSERT_FALSE(moving.to_client.empty());
  std::vector<MovingConnection> one;
  one.push_back(std::move(moving));
  ASSERT_EQ(next.plane.take_over(std::move(one), "80"), "");

  EXPECT_TRUE(client.read_to_end() == bytes);
}

TEST(TunnelMove, RemembersWhichSideHasEnded) {
  std::promise<void> ended, moved;
  auto has_moved = moved.get_future().share();
  TestBackend backend([&ended, has_moved](Peer& peer) {
    peer.read_head();
    peer.send(kSwitch);
    peer.read_to_end();
    ended.set_value();
    has_moved.wait();
    peer.send("the answer comes after the question's end");
  });
  TestRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.client();
  ASSERT_EQ(client.ask(kUpgrade).status, 101);
  client.end_sending();
  ended.get_future().wait();

  auto batch = old.plane.hand_over(1000, deadline_in(kSoonMs));
  ASSERT_EQ(batch.connections.size(), 1u);
  EXPECT_TRUE(batch.connections[0].client_ended);
  EXPECT_FALSE(batch.connections[0].upstream_ended);
  ASSERT_EQ(next.plane.take_over(std::move(batch.connections), "80"), "");
  moved.set_value();

  EXPECT_EQ(client.read_to_end(), "the answer comes after the question's end");
}

TEST(TunnelMove, AnInstanceThatTheNewOneDoesNotKnowGoesOn) {
  TestBackend backend(echo);
  TestRouter old({backend.addr()}), next({});
  auto client = old.client();
  ASSERT_EQ(client.ask(kUpgrade).status, 101);

  ASSERT_EQ(move(old.plane, next.plane), 1u);

  client.send("more");
  EXPECT_EQ(client.read_exactly(4), "more");
}

}  // namespace
}  // namespace flynn::router
