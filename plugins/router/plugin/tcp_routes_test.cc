// TCP routes through the built plugin: ports come and go with the routes, also while two instances share them.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "flynn/sdk/worker.h"
#include "testing/plugin_world.h"

namespace flynn::router {
namespace {

using testing::echo_bytes;
using testing::instance;
using testing::is_refused;
using testing::kCurrent;
using testing::Loaded;
using testing::Peer;
using testing::route_kv;
using testing::tcp_route_kv;
using testing::TestBackend;
using testing::World;

constexpr int kSoonMs = 5'000, kProbeMs = 5;
constexpr int kRow = 40;  // of two instances, taken by chance, nobody sees one in such a row

template <typename Condition>
bool becomes(Condition condition) {
  const auto deadline = Deadline::after(std::chrono::seconds(8));
  const StopSignal never;
  while (!deadline.passed()) {
    if (condition()) return true;
    never.wait(kProbeMs);  // each probe is a connection, and a thread of the backend
  }
  return condition();
}

class TcpRoutes : public ::testing::Test {
 protected:
  TcpRoutes()
      : listener_(testing::listen_anywhere()), port_(testing::port_of(listener_.get())), world_(listener_.get()) {
    world_.set_first_instances(instance("up", "i1", backend_.addr()) + "\n" + kCurrent);
    world_.set_first_routes(route_kv("r1", "one.test") + "," + tcp_route_kv("t1", tcp_));
  }

  std::unique_ptr<Loaded> started() {
    auto router = std::make_unique<Loaded>(world_);
    router->configure(R"({"threads":2,"wait_backend_ms":2000})");
    router->run(router->vt->start);
    return router;
  }
  std::unique_ptr<Loaded> active() {
    auto router = started();
    router->run(router->vt->activate);
    return router;
  }
  void put(const std::string& kv) {
    world_.tell_routes(R"({"revision":)" + std::to_string(++revision_) + R"(,"events":[{"type":"put","kv":)" + kv +
                       "}]}");
  }
  void remove(const std::string& id) {
    const auto revision = std::to_string(++revision_);
    world_.tell_routes(R"({"revision":)" + revision + R"(,"events":[{"type":"delete","kv":{"key":"routes/tcp/)" + id +
                       R"(","mod_revision":)" + revision + "}}]}");
  }
  /// What the first byte of a new connection is; empty when it was refused or ended.
  static std::string greeting(int port) { return is_refused(port) ? "" : Peer::connect(port).read_exactly(1); }
  /// Each loop learns of a change in its own time: the first new greeting says that one has, not that all have.
  static bool settles_on(const std::string& wanted, int port) {
    return becomes([&] {
      for (int i = 0; i < kRow; ++i)
        if (greeting(port) != wanted) return false;
      return true;
    });
  }
  static bool echoes(Peer& client, const std::string& text) {
    return client.send(text) && client.read_exactly(text.size()) == text;
  }
  static std::int64_t figure(Loaded& router, const char* name) {
    return int_or(router.call("Figures", "{}", "flynn.plugin/1"), name, -1);
  }
  static std::size_t pump(Loaded& from, Loaded& to) {
    std::size_t moved = 0;
    while (true) {
      const auto given = from.hand_over(1000, kSoonMs);
      const auto body = given.parsed();
      const auto* list = find_array(body, "connections");
      if (list == nullptr || list->empty()) return moved;
      EXPECT_EQ(to.take_over(given), FLYNN_OK) << to.error();
      moved += list->size();
      if (int_or(body, "left") == 0) return moved;
    }
  }
  /// As the core swaps: the new one accepts, the old one stops to, gives what it has, and goes.
  static void swap(std::unique_ptr<Loaded>& router, std::unique_ptr<Loaded> next) {
    next->run(next->vt->activate);
    router->run(router->vt->quiesce);
    pump(*router, *next);
    router->drain(kSoonMs);
    router->stop();
    router = std::move(next);
  }

  TestBackend backend_{[](Peer& peer) {
    peer.send("1");
    echo_bytes(peer);
  }};
  UniqueFd listener_;
  int port_;
  World world_;
  int tcp_ = world_.add_tcp_port();
  int revision_ = 7;
};

TEST_F(TcpRoutes, APortComesAndGoesWithItsRoute) {
  auto router = active();
  ASSERT_EQ(greeting(tcp_), "1") << "known from the start";
  auto lasting = Peer::connect(tcp_);
  ASSERT_EQ(lasting.read_exactly(1), "1");
  const int other = world_.add_tcp_port();
  EXPECT_TRUE(is_refused(other));

  put(tcp_route_kv("t2", other));
  EXPECT_TRUE(becomes([&] { return greeting(other) == "1"; })) << "two routes to one service";
  remove("t1");
  EXPECT_TRUE(becomes([&] { return is_refused(tcp_); }));

  EXPECT_TRUE(echoes(lasting, "lives on"));
  EXPECT_EQ(greeting(other), "1");
  put(tcp_route_kv("t1", tcp_));
  EXPECT_TRUE(becomes([&] { return greeting(tcp_) == "1"; })) << "and again on the same port";
  const int third = world_.add_tcp_port();
  put(tcp_route_kv("t1", third));
  EXPECT_TRUE(becomes([&] { return greeting(third) == "1"; }));
  EXPECT_TRUE(becomes([&] { return is_refused(tcp_); })) << "its port has changed";
  EXPECT_EQ(figure(*router, "failed"), 0);
  router->stop();
}

TEST_F(TcpRoutes, FollowTheirServiceAndTheLeader) {
  TestBackend second([](Peer& peer) { peer.send("2"); });
  auto router = active();
  ASSERT_EQ(greeting(tcp_), "1");
  world_.tell_instances(instance("up", "i2", second.addr()));
  world_.tell_instances(R"({"kind":"leader","service":"app-web","id":"i2"})");

  put(tcp_route_kv("t1", tcp_, "app-web", true));
  EXPECT_TRUE(settles_on("2", tcp_));
  world_.tell_instances(R"({"kind":"leader","service":"app-web","id":"i1"})");
  EXPECT_TRUE(settles_on("1", tcp_));

  put(tcp_route_kv("t1", tcp_, "another"));
  world_.tell_instances(R"({"kind":"up","service":"another","instance":{"service":"another","id":"x","addr":")" +
                        second.addr() + "\"}}");
  EXPECT_TRUE(settles_on("2", tcp_));
  router->stop();
}

TEST_F(TcpRoutes, AClientWaitsForTheFirstInstance) {
  world_.set_first_instances(kCurrent);
  auto router = active();
  auto client = Peer::connect(tcp_);
  client.send("early");

  world_.tell_instances(instance("up", "i1", backend_.addr()));

  EXPECT_EQ(client.read_exactly(6), "1early");
  router->stop();
}

TEST_F(TcpRoutes, APortInUseIsToldOnceAndTakenWhenItIsFree) {
  auto holder = testing::listen_anywhere();
  const int held = testing::port_of(holder.get());
  world_.add_tcp_port(held);
  auto router = active();

  put(tcp_route_kv("held", held));
  EXPECT_TRUE(becomes([&] { return !world_.logged("tcp_port_not_open").empty(); }));
  const auto line = world_.logged("tcp_port_not_open").front();
  EXPECT_NE(line.find("is in use"), std::string::npos) << line;
  EXPECT_NE(line.find("route remove tcp/held"), std::string::npos) << line;
  EXPECT_EQ(greeting(tcp_), "1");
  EXPECT_EQ(Peer::connect(port_).ask("GET / HTTP/1.1\r\nHost: none.test\r\n\r\n").status, 404);
  const auto routes = router->call("Routes", "{}");
  EXPECT_EQ(find_array(routes, "tcp_routes")->size(), 2u) << to_text(routes);

  holder.reset();
  EXPECT_TRUE(becomes([&] { return greeting(held) == "1"; }));
  EXPECT_EQ(world_.logged("tcp_port_not_open").size(), 1u) << "however often it was tried";
  EXPECT_EQ(world_.logged("tcp_port_open").size(), 1u);
  router->stop();
}

TEST_F(TcpRoutes, WithoutARangeALineSaysWhatToDo) {
  world_.set_first_routes(route_kv("r1", "one.test") + "," + tcp_route_kv("t1", 1));

  auto router = active();

  const auto lines = world_.logged("tcp_port_not_open");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find(R"(\"router.tcp\" = )"), std::string::npos) << lines[0];
  router->run(router->vt->health);
  router->stop();
}

TEST_F(TcpRoutes, SwapsLoseNoTunnelAndRefuseNobody) {
  constexpr int kTunnels = 20, kSwaps = 8;
  auto router = active();
  std::vector<Peer> tunnels;
  for (int i = 0; i < kTunnels; ++i) {
    tunnels.push_back(Peer::connect(tcp_));
    ASSERT_EQ(tunnels.back().read_exactly(1), "1");
  }
  std::atomic<bool> done{false};
  std::atomic<int> served{0}, refused{0}, broken{0};
  std::thread newcomers([&] {
    while (!done) {
      if (is_refused(tcp_)) ++refused;
      auto client = Peer::connect(tcp_);
      ++(client.read_exactly(1) == "1" && echoes(client, "hello") ? served : broken);
    }
  });
  std::thread talkers([&] {
    for (int round = 0; !done; ++round)
      for (auto& tunnel : tunnels)
        if (!echoes(tunnel, "round " + std::to_string(round))) ++broken;
  });

  for (int i = 0; i < kSwaps; ++i) swap(router, started());
  done = true;
  newcomers.join();
  talkers.join();

  EXPECT_EQ(refused, 0);
  EXPECT_EQ(broken, 0);
  EXPECT_GT(served, kSwaps);
  for (auto& tunnel : tunnels) EXPECT_TRUE(echoes(tunnel, "still here"));
  EXPECT_TRUE(world_.logged("tcp_port_not_open").empty());
  router->stop();
}

TEST_F(TcpRoutes, ARouteThatEndsInASwapIsRefusedAtItsEnd) {
  auto old = active();
  auto next = started();
  const int third = world_.add_tcp_port();
  put(tcp_route_kv("t3", third));
  ASSERT_TRUE(becomes([&] { return greeting(third) == "1"; }));

  next->run(next->vt->activate);
  remove("t1");  // both accept
  EXPECT_TRUE(becomes([&] { return is_refused(tcp_); }));
  put(tcp_route_kv("t1", tcp_));
  EXPECT_TRUE(becomes([&] { return greeting(tcp_) == "1"; }));
  old->run(old->vt->quiesce);
  EXPECT_TRUE(becomes([&] { return greeting(tcp_) == "1"; }));
  remove("t3");  // the old one drains
  EXPECT_TRUE(becomes([&] { return is_refused(third); }));
  put(tcp_route_kv("t3", third));
  EXPECT_TRUE(becomes([&] { return greeting(third) == "1"; }));

  old->drain(kSoonMs);
  old->stop();
  old.reset();
  EXPECT_EQ(greeting(tcp_), "1");
  EXPECT_EQ(greeting(third), "1");
  next->stop();
}

TEST_F(TcpRoutes, ARolledBackInstanceAcceptsAgainAndShutsWhatWentMeanwhile) {
  const int other = world_.add_tcp_port();
  auto old = active();
  put(tcp_route_kv("t2", other));
  ASSERT_TRUE(becomes([&] { return greeting(other) == "1"; }));
  auto tunnel = Peer::connect(tcp_);
  ASSERT_EQ(tunnel.read_exactly(1), "1");
  auto next = active();
  old->run(old->vt->quiesce);
  ASSERT_GE(pump(*old, *next), 1u) << "the last greeting may still be on its way out, and moves as well";
  // Nobody accepts for a moment, and nobody shuts the port.
  next->run(next->vt->quiesce);
  remove("t2");

  old->run(old->vt->resume);
  EXPECT_GE(pump(*next, *old), 1u);
  next->stop();

  EXPECT_TRUE(becomes([&] { return is_refused(other); }));
  EXPECT_EQ(greeting(tcp_), "1");
  EXPECT_TRUE(echoes(tunnel, "still here"));
  old->stop();
}

TEST_F(TcpRoutes, WhoAcceptsGetsASocketAgainThatSomebodyElseHasShut) {
  auto router = active();
  ASSERT_EQ(greeting(tcp_), "1");
  int fd = -1;
  flynn_error error{};
  ASSERT_EQ(world_.table.listener(&world_.table, testing::bytes("router.tcp:" + std::to_string(tcp_)), &fd, &error),
            FLYNN_OK);
  const UniqueFd duplicate(fd);

  ::shutdown(duplicate.get(), SHUT_RD);

  EXPECT_TRUE(becomes([&] { return greeting(tcp_) == "1"; }));
  router->stop();
}

TEST_F(TcpRoutes, ACanaryReachesInstancesItself) {
  auto old = active();
  auto canary = started();
  std::atomic<bool> ends{false}, marked{false};
  std::thread pumping([&] {
    while (!ends) {
      const auto given = old->hand_over(100, 20);
      const auto body = given.parsed();
      const auto* list = find_array(body, "connections");
      if (list != nullptr && !list->empty()) marked = int_or(body, "v") == 2;
      EXPECT_EQ(canary->take_over(given), FLYNN_OK) << canary->error();
    }
  });

  int served = 0;
  for (int i = 0; i < 500; ++i) served += Peer::connect(tcp_).read_exactly(1) == "1" ? 1 : 0;
  ends = true;
  pumping.join();

  EXPECT_EQ(served, 500);
  EXPECT_TRUE(marked) << "a router of before TCP routes must refuse the list";
  EXPECT_GE(figure(*canary, "served"), 10);
  EXPECT_EQ(figure(*canary, "served") + figure(*old, "served"), 500);
  canary->stop();
  old->stop();
}

TEST_F(TcpRoutes, LeaveNothingBehind) {
  const auto descriptors = [] {
    std::size_t count = 0;
    for (int fd = 0; fd < 4096; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  };
  const auto cycle = [&] {
    auto router = active();
    EXPECT_EQ(greeting(tcp_), "1");
    router->run(router->vt->quiesce);
    router->drain(2000);
    router->stop();
    router.reset();
    world_.close();
  };
  cycle();
  std::size_t before = 0;
  EXPECT_TRUE(becomes([&] { return before == descriptors() || (before = descriptors(), false); }));

  for (int i = 0; i < 5; ++i) cycle();

  EXPECT_TRUE(becomes([&] { return descriptors() <= before; })) << descriptors() << " instead of " << before;
}

}  // namespace
}  // namespace flynn::router
