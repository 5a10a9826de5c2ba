// Connections of TCP routes, without the plugin around.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <future>
#include <thread>

#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::deadline_in;
using testing::echo_bytes;
using testing::Peer;
using testing::TestBackend;
using testing::TestRouter;

constexpr int kPort = 3007;  // only a name here

/// One that says who it is, then echoes.
std::function<void(Peer&)> says(const std::string& name) {
  return [name](Peer& peer) {
    peer.send(name);
    echo_bytes(peer);
  };
}

/// A router with a TCP port to the service of its backends.
class TcpRouter : public TestRouter {
 public:
  explicit TcpRouter(const std::vector<std::string>& backends, const Settings& settings = {},
                     TcpTarget target = {"app-web"})
      : TestRouter(backends, settings) {
    EXPECT_EQ(plane.accept_tcp(kPort, tcp_listener.get(), target, [] {}), "");
  }
  [[nodiscard]] Peer tcp_client() const { return Peer::connect(testing::port_of(tcp_listener.get())); }

  UniqueFd tcp_listener = testing::listen_anywhere();
};

long resident_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  return 0;
}

TEST(Tcp, PassesBytesBothWaysAndCountsAsATunnel) {
  TestBackend backend(echo_bytes);
  TcpRouter router({backend.addr()});
  auto client = router.tcp_client();

  client.send("first");

  EXPECT_EQ(client.read_exactly(5), "first");
  EXPECT_EQ(router.plane.totals().tunnels, 1u);
  EXPECT_EQ(router.plane.totals().tcp_served, 1u);
  EXPECT_EQ(router.builder.publish()->service("app-web")->backends.front()->in_flight.load(), 1u);
  client.end_sending();
  EXPECT_EQ(client.read_to_end(), "bye");
}

TEST(Tcp, ServesAServerThatSpeaksFirst) {
  TestBackend backend([](Peer& peer) {
    peer.send("220 ready\r\n");
    echo_bytes(peer);
  });
  TcpRouter router({backend.addr()});
  auto client = router.tcp_client();

  EXPECT_EQ(client.read_exactly(11), "220 ready\r\n");
  client.send("HELO");
  EXPECT_EQ(client.read_exactly(4), "HELO");
}

TEST(Tcp, AServerThatEndsItsSideStillHearsTheClient) {
  std::promise<std::string> heard;
  TestBackend backend([&](Peer& peer) {
    peer.send("all I say");
    peer.end_sending();
    heard.set_value(peer.read_to_end());
  });
  TcpRouter router({backend.addr()});
  auto client = router.tcp_client();
  ASSERT_EQ(client.read_to_end(), "all I say");

  client.send("and all I say");
  client.end_sending();

  EXPECT_EQ(heard.get_future().get(), "and all I say");
}

TEST(Tcp, AClientThatEndedItsSideBeforeTheConnectIsAnswered) {
  Settings settings;
  settings.wait_backend_ms = 8'000;
  TcpRouter router({}, settings);
  auto client = router.tcp_client();
  client.send("question");
  client.end_sending();

  TestBackend backend([](Peer& peer) { peer.send("you said: " + peer.read_to_end()); });
  ASSERT_TRUE(router.builder.put_backend("app-web", "late", backend.addr()));
  router.publish();

  EXPECT_EQ(client.read_to_end(), "you said: question");
}

TEST(Tcp, ClosesWhenNoInstanceComesInTime) {
  Settings settings;
  settings.wait_backend_ms = 200;
  TcpRouter router({}, settings);
  auto client = router.tcp_client();

  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(router.plane.totals().made_errors, 1u);
  EXPECT_EQ(router.plane.totals().tunnels, 0u);
}

TEST(Tcp, TakesAnotherInstanceWhenOneRefuses) {
  TestBackend backend(says("A"));
  const auto nobody = testing::listen_anywhere();
  const auto dead = "127.0.0.1:" + std::to_string(testing::port_of(nobody.get()));
  ::shutdown(nobody.get(), SHUT_RD);
  TcpRouter router({dead, backend.addr()});

  for (int i = 0; i < 20; ++i) EXPECT_EQ(router.tcp_client().read_exactly(1), "A");
}

TEST(Tcp, PrefersTheInstanceWithFewerConnections) {
  TestBackend one(says("1")), other(says("2"));
  TcpRouter router({one.addr(), other.addr()});
  std::vector<Peer> clients;
  int ones = 0;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(router.tcp_client());
    ones += clients.back().read_exactly(1) == "1" ? 1 : 0;
  }

  EXPECT_EQ(ones, 10) << "with two instances both random choices are looked at";
}

TEST(Tcp, ALeaderRouteGoesToTheLeaderOnly) {
  TestBackend one(says("1")), other(says("2"));
  TcpRouter router({one.addr(), other.addr()}, {}, {"app-web", true});
  router.builder.set_leader("app-web", "1");
  router.publish();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(router.tcp_client().read_exactly(1), "2");

  router.builder.set_leader("app-web", "0");
  router.publish();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(router.tcp_client().read_exactly(1), "1");

  router.builder.set_leader("app-web", "");
  router.publish();
  auto waiting = router.tcp_client();
  router.builder.set_leader("app-web", "1");
  router.publish();
  EXPECT_EQ(waiting.read_exactly(1), "2");
}

TEST(Tcp, AnEndInTheMiddleIsAResetOnTheOtherSide) {
  std::promise<bool> reset;
  TestBackend backend([&](Peer& peer) {
    if (peer.read_exactly(1) == "s")
      peer.reset();
    else
      reset.set_value(peer.ends_by_reset());
  });
  TcpRouter router({backend.addr()});
  auto client = router.tcp_client();
  client.send("s");
  EXPECT_TRUE(client.ends_by_reset());

  auto other = router.tcp_client();
  other.send("c");
  const auto deadline = deadline_in(8'000);
  while (router.plane.totals().bytes_in < 2 && deadline_in(0) < deadline) continue;
  other.reset();
  EXPECT_TRUE(reset.get_future().get());
}

TEST(Tcp, PassesOnWhatAServerSaidBeforeItBrokeOff) {
  TestBackend backend([](Peer& peer) {
    peer.read_exactly(1);
    peer.send("too many connections");
    peer.close();  // with bytes unread: a reset
  });
  TcpRouter router({backend.addr()});
  auto client = router.tcp_client();

  client.send(std::string(200'000, 'x'));

  EXPECT_EQ(client.read_exactly(20), "too many connections");
  EXPECT_TRUE(client.ends_by_reset());
}

TEST(Tcp, ASlowReaderOfMuchHoldsOnlyBuffers) {
  constexpr std::size_t kPiece = 1'000'000, kPieces = 100;
  const std::string piece(kPiece, 'z');
  std::promise<std::size_t> stuck;
  TestBackend backend([&](Peer& peer) {
    // A piece that is not taken for so long waits for the reader.
    const timeval patience{0, 500'000};
    ::setsockopt(peer.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    std::size_t sent = 0;
    bool told = false;
    while (sent < kPiece * kPieces) {
      const auto put = ::send(peer.fd(), piece.data(), std::min(kPiece, kPiece * kPieces - sent), MSG_NOSIGNAL);
      if (put > 0) sent += static_cast<std::size_t>(put);
      if (put < 0 && errno != EAGAIN) break;
      if (put < static_cast<ssize_t>(kPiece) && !std::exchange(told, true)) stuck.set_value(sent);
    }
  });
  TcpRouter router({backend.addr()});
  const auto before = resident_kb();
  auto client = router.tcp_client();

  EXPECT_LT(stuck.get_future().get(), kPiece * kPieces / 2) << "it must wait for the reader";
  EXPECT_LT(resident_kb(), before + 8 * 1024);

  std::size_t read = 0;
  for (std::string bytes; !(bytes = client.read_some()).empty();) read += bytes.size();
  EXPECT_EQ(read, kPiece * kPieces);
}

TEST(Tcp, MoreConnectionsThanAllowedWaitForRoom) {
  TestBackend backend(says("A"));
  Settings settings;
  settings.threads = 1;
  settings.connections_max = 2;
  TcpRouter router({backend.addr()}, settings);
  auto one = router.tcp_client(), other = router.tcp_client();
  ASSERT_EQ(one.read_exactly(1), "A");
  ASSERT_EQ(other.read_exactly(1), "A");
  auto third = router.tcp_client();
  auto web = router.client();
  web.send("GET / HTTP/1.1\r\nHost: nowhere.test\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(router.plane.totals().connections, 2u);

  one.close();
  EXPECT_EQ(third.read_exactly(1), "A");
  other.close();
  EXPECT_EQ(web.read_answer().status, 404);
}

TEST(Tcp, GoesOnInAnotherDataPlane) {
  TestBackend backend(says("A"));
  TcpRouter old({backend.addr()});
  TestRouter next({backend.addr()});
  auto client = old.tcp_client();
  ASSERT_EQ(client.read_exactly(1), "A");
  old.plane.stop_accepting();

  auto batch = old.plane.hand_over(1000, deadline_in(5'000));
  ASSERT_EQ(batch.connections.size(), 1u);
  EXPECT_TRUE(batch.connections[0].is_tunnel());
  EXPECT_FALSE(batch.connections[0].tcp) << "connected, it is a tunnel like any other";
  ASSERT_EQ(next.plane.take_over(std::move(batch.connections), "80"), "");
  old.plane.stop();

  client.send("more");
  EXPECT_EQ(client.read_exactly(4), "more");
  EXPECT_EQ(next.plane.totals().tunnels, 1u);
}

TEST(Tcp, ATunnelThatWaitsForItsInstanceMovesWhenItIsOne) {
  Settings patient;
  patient.wait_backend_ms = 8'000;
  TestBackend backend(says("A"));
  TcpRouter old({}, patient);
  TestRouter next({});
  auto client = old.tcp_client();
  const auto deadline = deadline_in(8'000);
  while (old.plane.totals().connections == 0 && deadline_in(0) < deadline) continue;
  const auto nothing = old.plane.hand_over(1000, deadline_in(50));
  EXPECT_EQ(nothing.connections.size(), 0u);
  EXPECT_EQ(nothing.left, 1u);

  ASSERT_TRUE(old.builder.put_backend("app-web", "late", backend.addr()));
  old.publish();

  auto batch = old.plane.hand_over(1000, deadline_in(5'000));
  ASSERT_EQ(batch.connections.size(), 1u);
  ASSERT_EQ(next.plane.take_over(std::move(batch.connections), "80"), "");
  EXPECT_EQ(client.read_exactly(1), "A");
}

}  // namespace
}  // namespace flynn::router
