// Upgraded connections.
#include <gtest/gtest.h>

#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::Peer;
using testing::TestBackend;
using testing::TestRouter;

const std::string kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: k\r\n\r\n";
const std::string kSwitch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

void echo_bytes(Peer& peer) {
  const auto head = peer.read_head();
  if (head.find("Upgrade: websocket\r\n") == std::string::npos) return;
  peer.send(kSwitch + "hello");
  while (true) {
    const auto byte = peer.read_exactly(1);
    if (byte.empty()) break;
    peer.send(byte);
  }
  peer.send("bye");
}

TEST(Tunnel, PassesBytesBothWaysAndEachEndByItself) {
  TestBackend backend(echo_bytes);
  TestRouter router({backend.addr()});
  auto client = router.client();
  client.send(kUpgrade + "early");  // before the 101 has been seen

  const auto answer = client.read_answer();
  EXPECT_EQ(answer.status, 101);
  EXPECT_TRUE(answer.has("Upgrade: websocket\r\n"));
  EXPECT_EQ(client.read_exactly(10), "helloearly");
  EXPECT_EQ(router.plane.totals().tunnels, 1u);
  client.send("more");
  EXPECT_EQ(client.read_exactly(4), "more");
  client.end_sending();
  EXPECT_EQ(client.read_to_end(), "bye");
}

TEST(Tunnel, CarriesMoreThanAnyBufferHolds) {
  TestBackend backend([](Peer& peer) {
    peer.read_head();
    peer.send(kSwitch);
    const auto all = peer.read_to_end();
    peer.send(all);
  });
  TestRouter router({backend.addr()});
  auto client = router.client();
  ASSERT_EQ(client.ask(kUpgrade).status, 101);
  std::string bytes(20'000'000, ' ');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 7);

  ASSERT_TRUE(client.send(bytes));
  client.end_sending();

  EXPECT_TRUE(client.read_to_end() == bytes);
}

TEST(Tunnel, OutlivesEveryChangeOfRoutes) {
  TestBackend backend(echo_bytes);
  TestRouter router({backend.addr()});
  auto client = router.client();
  ASSERT_EQ(client.ask(kUpgrade).status, 101);
  ASSERT_EQ(client.read_exactly(5), "hello");

  for (int i = 0; i < 200; ++i) {
    router.builder.put_route({"r" + std::to_string(i), "h" + std::to_string(i) + ".test", "/", "s", "", false});
    router.publish();
  }
  router.builder.remove_route("r1");
  router.builder.remove_backend("app-web", "0");
  router.publish();

  client.send("still");
  EXPECT_EQ(client.read_exactly(5), "still");
}

TEST(Tunnel, EndsWhenTheBackendBreaksOff) {
  TestBackend backend([](Peer& peer) {
    peer.read_head();
    peer.send(kSwitch);
    peer.read_exactly(1);
    peer.reset();
  });
  TestRouter router({backend.addr()});
  auto client = router.client();
  ASSERT_EQ(client.ask(kUpgrade).status, 101);
  client.send("x");

  EXPECT_TRUE(client.at_end());
}

}  // namespace
}  // namespace flynn::router
