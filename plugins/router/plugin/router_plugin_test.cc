// The built plugin through the C ABI, between a host, a store and a discovery that the test controls.
#include <dirent.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

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

std::size_t entries(const char* folder) {
  std::size_t count = 0;
  DIR* dir = ::opendir(folder);
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

bool is_mapped(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find(path) != std::string::npos) return true;
  return false;
}

int status_for(int port, const std::string& host) {
  return Peer::connect(port).ask("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n").status;
}

/// Asks until the answer is `wanted`; changes reach traffic in their own time. The deadline is that of the test's run.
bool becomes(int port, const std::string& host, int wanted) {
  const auto deadline = Deadline::after(std::chrono::seconds(8));
  while (!deadline.passed())
    if (status_for(port, host) == wanted) return true;
  return false;
}

class RouterPlugin : public ::testing::Test {
 protected:
  RouterPlugin()
      : listener_(testing::listen_anywhere()), port_(testing::port_of(listener_.get())), world_(listener_.get()) {
    world_.set_first_routes(route_kv("r1", "one.test"));
    world_.set_first_instances(instance("up", "i1", backend_.addr()) + "\n" + kCurrent);
  }

  TestBackend backend_{testing::echo_requests};
  UniqueFd listener_;
  int port_;
  World world_;
};

TEST_F(RouterPlugin, ServesWhatStoreAndDiscoverySayAndFollowsTheirChanges) {
  Loaded router(world_);
  router.configure(R"({"threads":2,"wait_backend_ms":0})");
  router.run(router.vt->start);
  router.run(router.vt->health);
  router.run(router.vt->activate);

  EXPECT_EQ(status_for(port_, "one.test"), 200);
  EXPECT_EQ(status_for(port_, "two.test"), 404);
  world_.tell_routes(R"({"revision":8,"events":[{"type":"put","kv":)" + route_kv("r2", "two.test") + "}]}");
  EXPECT_TRUE(becomes(port_, "two.test", 200));
  world_.tell_routes(R"({"revision":9,"events":[{"type":"delete","kv":{"key":"routes/http/r1","mod_revision":9}}]})");
  EXPECT_TRUE(becomes(port_, "one.test", 404));
  world_.tell_instances(instance("down", "i1", backend_.addr()));
  EXPECT_TRUE(becomes(port_, "two.test", 503));

  const auto check = router.call("Check", R"({"domain":"two.test"})");
  EXPECT_EQ(string_or(check, "route_id"), "r2");
  EXPECT_EQ(find_array(router.call("Routes", "{}"), "routes")->size(), 1u);
  EXPECT_GT(int_or(router.call("Stats", "{}"), "requests"), 3);
  router.stop();
}

TEST_F(RouterPlugin, ServesTheLastKnownWhileDiscoveryIsAwayAndThenTheNewState) {
  Loaded router(world_);
  router.configure(R"({"threads":1,"wait_backend_ms":0})");
  router.run(router.vt->start);
  router.run(router.vt->activate);
  ASSERT_EQ(status_for(port_, "one.test"), 200);
  world_.set_first_instances(kCurrent);

  world_.end_instances();

  EXPECT_TRUE(becomes(port_, "one.test", 503)) << "the instance that left meanwhile is gone";
  EXPECT_GE(world_.watches(), 2);
  router.stop();
}

TEST_F(RouterPlugin, OneGenerationTakesOverFromAnotherWithoutARefusedOrLostRequest) {
  auto old = std::make_unique<Loaded>(world_);
  old->configure(R"({"threads":2,"drain_idle_ms":200})");
  old->run(old->vt->start);
  old->run(old->vt->activate);
  std::atomic<bool> done{false};
  std::atomic<int> served{0}, lost{0};
  std::thread load([&] {
    // One keep-alive connection after another, as a client has them: a new one when the router says close.
    while (!done) {
      auto client = Peer::connect(port_);
      while (!done) {
        const auto answer = client.ask("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");
        ++(answer.status == 200 ? served : lost);
        if (answer.status != 200 || answer.has("Connection: close\r\n")) break;
      }
    }
  });

  for (int swap = 0; swap < 10; ++swap) {
    auto next = std::make_unique<Loaded>(world_);
    next->configure(R"({"threads":2,"drain_idle_ms":200})");
    next->run(next->vt->start);
    next->run(next->vt->health);
    next->run(next->vt->activate);
    old->run(old->vt->quiesce);
    old->drain(5000);
    old->stop();
    old = std::move(next);
  }
  done = true;
  load.join();

  EXPECT_EQ(lost, 0);
  EXPECT_GT(served, 50);
  old->stop();
}

TEST_F(RouterPlugin, ResumesAfterQuiesce) {
  Loaded router(world_);
  router.configure("{}");
  router.run(router.vt->start);
  router.run(router.vt->activate);
  router.run(router.vt->quiesce);
  auto waiting = Peer::connect(port_);
  waiting.send("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");

  router.run(router.vt->resume);

  EXPECT_EQ(waiting.read_answer().status, 200);
  router.stop();
}

TEST_F(RouterPlugin, LeavesNothingBehind) {
  const auto cycle = [&] {
    Loaded router(world_);
    router.configure(R"({"threads":2})");
    router.run(router.vt->start);
    router.run(router.vt->activate);
    EXPECT_EQ(status_for(port_, "one.test"), 200);
    router.run(router.vt->quiesce);
    router.drain(2000);
    router.stop();
  };
  const auto own_threads = entries("/proc/self/task");
  cycle();  // what the first one makes for good (libraries that pin themselves) is not counted
  world_.close();
  const auto settled = Deadline::after(std::chrono::seconds(5));
  while (!settled.passed() && entries("/proc/self/task") != own_threads) continue;
  const auto descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  for (int i = 0; i < 10; ++i) cycle();
  world_.close();

  // The test backend's own threads end as soon as they have seen the router's connections end.
  const auto deadline = Deadline::after(std::chrono::seconds(5));
  while (!deadline.passed() && (entries("/proc/self/fd") != descriptors || entries("/proc/self/task") != threads))
    continue;
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries("/proc/self/task"), threads);
  EXPECT_FALSE(is_mapped(ROUTER_SO)) << "the image is still mapped";
}

}  // namespace
}  // namespace flynn::router
