// What the access log and the counters say of connections of TCP routes.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "flynn/sdk/clock.h"
#include "flynn/sdk/worker.h"
#include "testing/peers.h"

namespace flynn::router {
namespace {

using testing::deadline_in;
using testing::echo_bytes;
using testing::Peer;
using testing::TestBackend;
using testing::TestRouter;

constexpr int kPort = 3007, kProbeMs = 10;

Settings logging() {
  Settings settings;
  settings.log_requests = true;
  return settings;
}

class LoggingRouter : public TestRouter {
 public:
  explicit LoggingRouter(const std::vector<std::string>& backends, const Settings& settings = logging())
      : TestRouter(backends, settings) {
    EXPECT_EQ(plane.accept_tcp(kPort, listening.get(), {"app-web", false, "t1", "app1", kPort}, [] {}), "");
  }
  [[nodiscard]] Peer tcp_client() const { return Peer::connect(testing::port_of(listening.get())); }
  void take_lines() {
    plane.collect_log([&](const LogLine& line) {
      EXPECT_EQ(line.app_id, "app1");
      EXPECT_GT(line.timestamp_us, 0u);
      lines.emplace_back(line.text);
    });
  }
  /// The next line; loops hand theirs on once a second.
  std::string line() {
    const StopSignal never;
    for (const auto deadline = Deadline::after(std::chrono::seconds(20)); lines.empty() && !deadline.passed();
         never.wait(kProbeMs))
      take_lines();
    if (lines.empty()) return "no line";
    auto first = lines.front();
    lines.erase(lines.begin());
    return first;
  }

  UniqueFd listening = testing::listen_anywhere();
  std::vector<std::string> lines;
};

std::string end_of(const std::string& line) { return line.substr(std::min(line.rfind(" end=") + 1, line.size())); }

TEST(TcpLog, ALineHasClientRouteInstanceBytesTimesAndEnd) {
  TestBackend backend(echo_bytes);
  LoggingRouter router({backend.addr()});
  auto client = router.tcp_client();
  client.send("first");
  EXPECT_EQ(client.read_exactly(5), "first");
  EXPECT_EQ(router.plane.totals().tcp_open, 1u);

  client.end_sending();
  EXPECT_EQ(client.read_to_end(), "bye");

  const auto line = router.line();
  const std::regex wanted(
      "protocol=tcp port=3007 route=tcp/t1 service=app-web bytes_in=5 bytes_out=8 connect_ms=[0-9]+ "
      "service_ms=[0-9]+ client=127\\.0\\.0\\.1 backend=" +
      backend.addr() + " end=client_closed");
  EXPECT_TRUE(std::regex_match(line, wanted)) << line;
  const auto totals = router.plane.totals();
  EXPECT_EQ(totals.tcp_open, 0u);
  EXPECT_EQ(totals.tcp_served, 1u);
  EXPECT_EQ(totals.tcp_bytes_in, 5u);
  EXPECT_EQ(totals.tcp_bytes_out, 8u);
  EXPECT_EQ(totals.tcp_resets + totals.tcp_timeouts + totals.tcp_no_instance, 0u);
}

TEST(TcpLog, SaysThatTheInstanceEndedFirst) {
  TestBackend backend([](Peer& peer) {
    peer.send("all I say");
    peer.end_sending();
    peer.read_to_end();
  });
  LoggingRouter router({backend.addr()});
  auto client = router.tcp_client();
  EXPECT_EQ(client.read_to_end(), "all I say");

  client.end_sending();

  EXPECT_EQ(end_of(router.line()), "end=instance_closed");
}

TEST(TcpLog, SaysWhoBrokeOff) {
  TestBackend backend([](Peer& peer) {
    peer.send("A");
    if (peer.read_exactly(4) == "quit")
      peer.reset();
    else
      peer.read_to_end();
  });
  LoggingRouter router({backend.addr()});
  {
    auto client = router.tcp_client();
    EXPECT_EQ(client.read_exactly(1), "A");
    client.send("stay");
    client.reset();
    EXPECT_EQ(end_of(router.line()), "end=client_reset");
  }
  auto client = router.tcp_client();
  EXPECT_EQ(client.read_exactly(1), "A");
  client.send("quit");
  EXPECT_TRUE(client.ends_by_reset());
  EXPECT_EQ(end_of(router.line()), "end=instance_reset");
  EXPECT_EQ(router.plane.totals().tcp_resets, 2u);
}

TEST(TcpLog, SaysThatNobodySaidAnything) {
  TestBackend backend(echo_bytes);
  auto settings = logging();
  settings.tunnel_timeout_ms = 100;
  LoggingRouter router({backend.addr()}, settings);
  auto client = router.tcp_client();

  EXPECT_EQ(end_of(router.line()), "end=idle_timeout");
  EXPECT_EQ(router.plane.totals().tcp_timeouts, 1u);
}

TEST(TcpLog, SaysThatThereWasNoInstance) {
  auto settings = logging();
  settings.wait_backend_ms = 100;
  LoggingRouter router({}, settings);
  auto client = router.tcp_client();
  EXPECT_TRUE(client.at_end());

  const auto line = router.line();

  EXPECT_EQ(end_of(line), "end=no_instance");
  EXPECT_NE(line.find(" backend= "), std::string::npos) << line;
  EXPECT_EQ(router.plane.totals().tcp_no_instance, 1u);
  EXPECT_EQ(router.plane.totals().tcp_served, 0u);
}

TEST(TcpLog, WhatADrainCutsOffIsToldAfterTheEnd) {
  TestBackend backend(echo_bytes);
  LoggingRouter router({backend.addr()});
  auto client = router.tcp_client();
  client.send("first");
  EXPECT_EQ(client.read_exactly(5), "first");

  EXPECT_FALSE(router.plane.drain(deadline_in(1)));
  router.plane.stop();
  router.take_lines();

  ASSERT_EQ(router.lines.size(), 1u);
  EXPECT_EQ(end_of(router.lines.front()), "end=router_stopped");
}

TEST(TcpLog, AConnectionThatMovesHasOneLineWithAllItsBytes) {
  TestBackend backend(echo_bytes);
  LoggingRouter old({backend.addr()}), next({backend.addr()});
  auto client = old.tcp_client();
  client.send("first");
  EXPECT_EQ(client.read_exactly(5), "first");

  auto batch = old.plane.hand_over(1000, deadline_in(5'000));
  ASSERT_EQ(batch.connections.size(), 1u);
  EXPECT_EQ(next.plane.take_over(std::move(batch.connections), old.plane.port()), "");
  client.send("second");
  EXPECT_EQ(client.read_exactly(6), "second");
  client.end_sending();
  EXPECT_EQ(client.read_to_end(), "bye");

  const auto line = next.line();
  EXPECT_NE(line.find("port=3007 route=tcp/t1 service=app-web bytes_in=11 bytes_out=14 "), std::string::npos) << line;
  EXPECT_NE(line.find("backend=" + backend.addr() + " end=client_closed"), std::string::npos) << line;
  EXPECT_EQ(old.plane.totals().tcp_open, 0u);
  old.plane.stop();
  old.take_lines();
  EXPECT_TRUE(old.lines.empty()) << old.lines.front();
}

}  // namespace
}  // namespace flynn::router
