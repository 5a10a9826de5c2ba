// Connections move between two instances of the built plugin through the C ABI.
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <thread>

#include "plugin/base64.h"
#include "testing/plugin_world.h"

namespace flynn::router {
namespace {

using testing::instance;
using testing::kCurrent;
using testing::Loaded;
using testing::Peer;
using testing::route_kv;
using testing::TestBackend;
using testing::World;

const std::string kGet = "GET / HTTP/1.1\r\nHost: one.test\r\n\r\n";
const std::string kUpgrade =
    "GET / HTTP/1.1\r\nHost: one.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const std::string kSwitch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
constexpr int kSoonMs = 5'000;

/// Answers requests, streams events and chunks that never end, or echoes the bytes of a tunnel.
void serve(Peer& peer) {
  for (std::string head; !(head = peer.read_head()).empty();) {
    if (head.starts_with("GET /stream/")) {
      const bool events = head.starts_with("GET /stream/events ");
      peer.send(std::string("HTTP/1.1 200 OK\r\nContent-Type: ") + (events ? "text/event-stream" : "text/plain") +
                "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
      while (!peer.at_end()) continue;
      return;
    }
    if (head.find("Upgrade: websocket") == std::string::npos) {
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      continue;
    }
    peer.send(kSwitch);
    for (std::string bytes; !(bytes = peer.read_some()).empty();) peer.send(bytes);
    return;
  }
}

class RouterHandOver : public ::testing::Test {
 protected:
  RouterHandOver()
      : listener_(testing::listen_anywhere()), port_(testing::port_of(listener_.get())), world_(listener_.get()) {
    world_.set_first_routes(route_kv("r1", "one.test"));
    world_.set_first_instances(instance("up", "i1", backend_.addr()) + "\n" + kCurrent);
  }

  std::unique_ptr<Loaded> started() {
    auto router = std::make_unique<Loaded>(world_);
    router->configure(R"({"threads":2,"wait_backend_ms":0})");
    router->run(router->vt->start);
    return router;
  }
  std::unique_ptr<Loaded> active() {
    auto router = started();
    router->run(router->vt->activate);
    return router;
  }

  /// The core's pump: all that is idle; the count of connections.
  static std::size_t pump(Loaded& from, Loaded& to, int ms = kSoonMs) {
    std::size_t moved = 0;
    while (true) {
      const auto given = from.hand_over(1000, ms);
      const auto body = given.parsed();
      const auto* list = find_array(body, "connections");
      if (list == nullptr || list->empty()) return moved;
      EXPECT_LE(given.fds.size(), 128u);
      EXPECT_EQ(to.take_over(given), FLYNN_OK) << to.error();
      moved += list->size();
      if (int_or(body, "left") == 0) return moved;
    }
  }
  static std::int64_t figure(Loaded& router, const char* name) {
    return int_or(router.call("Figures", "{}", "flynn.plugin/1"), name, -1);
  }

  /// An answer is counted just after it has been sent.
  static bool sum_becomes(Loaded& one, Loaded& other, const char* name, std::int64_t wanted) {
    const auto deadline = Deadline::after(std::chrono::milliseconds(kSoonMs));
    while (!deadline.passed() && figure(one, name) + figure(other, name) != wanted) std::this_thread::yield();
    return figure(one, name) + figure(other, name) == wanted;
  }

  TestBackend backend_{serve};
  UniqueFd listener_;
  int port_;
  World world_;
};

TEST_F(RouterHandOver, EverythingGoesOnInTheNewInstanceAndTheOldOneCanBeUnloaded) {
  auto old = active();
  std::vector<Peer> idle, tunnels;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(Peer::connect(port_));
    ASSERT_EQ(idle.back().ask(kGet).status, 200);
    tunnels.push_back(Peer::connect(port_));
    ASSERT_EQ(tunnels.back().ask(kUpgrade).status, 101);
  }
  auto half = Peer::connect(port_);
  half.send(kGet.substr(0, 20));
  auto next = active();
  old->run(old->vt->quiesce);

  EXPECT_EQ(pump(*old, *next), 201u);

  old->drain(kSoonMs);
  old->stop();
  old.reset();
  EXPECT_EQ(figure(*next, "connections"), 201);
  for (auto& client : idle) EXPECT_EQ(client.ask(kGet).status, 200);
  for (auto& client : tunnels) {
    client.send("still here");
    EXPECT_EQ(client.read_exactly(10), "still here");
  }
  half.send(kGet.substr(20));
  EXPECT_EQ(half.read_answer().status, 200);
  next->stop();
}

TEST_F(RouterHandOver, ReadersOfStreamsThatHaveLeftHoldUpNoSwap) {
  constexpr int kNotWaitedForMs = 20'000;
  auto old = active();
  for (const std::string path : {"/stream/events", "/stream/plain"}) {
    auto client = Peer::connect(port_);
    client.send("GET " + path + " HTTP/1.1\r\nHost: one.test\r\n\r\n");
    ASSERT_TRUE(client.read_head().starts_with("HTTP/1.1 200 "));
    ASSERT_EQ(client.read_exactly(10), "5\r\nfirst\r\n");
    client.close();
  }
  auto next = active();
  old->run(old->vt->quiesce);

  // What may move later holds up the core's pump.
  const auto deadline = Deadline::after(std::chrono::milliseconds(kSoonMs));
  const auto left = [&] { return int_or(old->hand_over(1000, 20).parsed(), "left", -1); };
  while (!deadline.passed() && left() != 0) continue;
  EXPECT_EQ(left(), 0);
  old->drain(kNotWaitedForMs);

  EXPECT_TRUE(world_.logged("drain_cut_off").empty());
  old->stop();
  next->stop();
}

TEST_F(RouterHandOver, ABreachMovesAllBackAndTheOldOneAcceptsAgain) {
  auto old = active();
  auto idle = Peer::connect(port_);
  ASSERT_EQ(idle.ask(kGet).status, 200);
  auto tunnel = Peer::connect(port_);
  ASSERT_EQ(tunnel.ask(kUpgrade).status, 101);
  auto next = active();
  old->run(old->vt->quiesce);
  ASSERT_EQ(pump(*old, *next), 2u);

  old->run(old->vt->resume);
  next->run(next->vt->quiesce);
  EXPECT_EQ(pump(*next, *old), 2u);
  next->drain(kSoonMs);
  next->stop();

  const auto answer = idle.ask(kGet);
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.has("Connection: close"));
  tunnel.send("x");
  EXPECT_EQ(tunnel.read_exactly(1), "x");
  EXPECT_EQ(Peer::connect(port_).ask(kGet).status, 200);
  old->stop();
}

TEST_F(RouterHandOver, ACanaryServesItsShareBeforeItIsActivated) {
  auto old = active();
  auto canary = started();
  std::atomic<bool> ends{false};
  std::thread pumping([&] {
    while (!ends) EXPECT_EQ(canary->take_over(old->hand_over(100, 20)), FLYNN_OK) << canary->error();
  });

  std::size_t ports_right = 0;
  for (int i = 0; i < 500; ++i) ports_right += Peer::connect(port_).ask(kGet).status == 200 ? 1 : 0;
  ends = true;
  pumping.join();

  EXPECT_EQ(ports_right, 500u);
  EXPECT_TRUE(sum_becomes(*canary, *old, "served", 500));
  // Fewer than the share when this machine lets the pump wait for so long that the old one serves them itself.
  EXPECT_GE(figure(*canary, "served"), 10);
  EXPECT_LE(figure(*canary, "served"), 65);
  EXPECT_EQ(figure(*canary, "failed"), 0);
  EXPECT_EQ(Peer::connect(port_).ask("GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n").status, 404);
  EXPECT_TRUE(sum_becomes(*canary, *old, "failed", 1));
  canary->stop();
  old->stop();
}

TEST_F(RouterHandOver, WhatItCannotReadItRefusesAsAWhole) {
  auto old = active();
  auto next = active();
  auto client = Peer::connect(port_);
  ASSERT_EQ(client.ask(kGet).status, 200);
  old->run(old->vt->quiesce);
  next->run(next->vt->quiesce);
  auto given = old->hand_over(1000, 100);
  auto& holder = given.fds.empty() ? *next : *old;
  if (given.fds.empty()) given = next->hand_over(1000, 100);
  ASSERT_EQ(given.fds.size(), 1u);
  auto& other = &holder == old.get() ? *next : *old;
  const auto refuses = [&](const json::object& document) {
    Loaded::Given changed;
    changed.document = to_text(document);
    changed.fds.emplace_back(::fcntl(given.fds[0].get(), F_DUPFD_CLOEXEC, 0));
    return other.take_over(changed) != FLYNN_OK;
  };

  const auto good = given.parsed();
  for (const auto& [member, value] :
       std::initializer_list<std::pair<const char*, json::value>>{{"v", 3},
                                                                  {"v", nullptr},
                                                                  {"port", "eighty"},
                                                                  {"connections", json::array{1}},
                                                                  {"connections", json::array{}}}) {
    auto bad = good;
    bad[member] = value;
    EXPECT_TRUE(refuses(bad)) << to_text(bad);
  }
  auto bad = good;
  bad["connections"].at(0).as_object()["received"] = "a";
  EXPECT_TRUE(refuses(bad));
  bad = good;
  bad["connections"].at(0).as_object()["tunnel"] = json::object{};
  EXPECT_TRUE(refuses(bad)) << "a tunnel has two descriptors";
  Loaded::Given not_a_socket;
  not_a_socket.document = given.document;
  not_a_socket.fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
  EXPECT_NE(other.take_over(not_a_socket), FLYNN_OK);

  EXPECT_EQ(holder.take_over(given), FLYNN_OK) << "as it was given";
  EXPECT_EQ(client.ask(kGet).status, 200);
  next->stop();
  old->stop();
}

TEST(Base64, ReadsWhatItWritesAndNothingElse) {
  EXPECT_EQ(encode_base64("fo"), "Zm8=");
  EXPECT_EQ(encode_base64("foobar"), "Zm9vYmFy");
  std::string all;
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(decode_base64(encode_base64(all)), all);
    all += static_cast<char>(i);
  }
  for (const char* bad : {"Zm8", "Zm8=Zm8=", "Z===", "Zm9*", "Zm9=", "Zk=="}) EXPECT_FALSE(decode_base64(bad)) << bad;
}

}  // namespace
}  // namespace flynn::router
