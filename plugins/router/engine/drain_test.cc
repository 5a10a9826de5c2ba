// Beginning and ending: accepting, draining, and what is left afterwards.
#include <dirent.h>
#include <gtest/gtest.h>

#include <thread>

#include "engine/data_plane.h"
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

std::size_t entries(const char* folder) {
  std::size_t count = 0;
  DIR* dir = ::opendir(folder);
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

TEST(Drain, DrainAnswersWithCloseAndLosesNoRequest) {
  TestBackend backend(echo_requests);
  Settings settings;
  settings.drain_idle_ms = 5'000;
  TestRouter router({backend.addr()}, settings);
  auto client = router.client();
  ASSERT_EQ(client.ask(kGet).status, 200);
  router.plane.stop_accepting();
  bool drained = false;
  std::thread drainer([&] { drained = router.plane.drain(deadline_in(8'000)); });

  // The drain has reached the connection when an answer says so; until then it answers as ever.
  Answer answer;
  do answer = client.ask(kGet);
  while (answer.status == 200 && !answer.has("Connection: close\r\n"));

  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(client.read_to_end(), "");
  drainer.join();
  EXPECT_TRUE(drained);
}

TEST(Drain, DrainEndsIdleConnectionsAndTheDeadlineEndsTheRest) {
  TestBackend backend([](Peer& peer) { peer.read_to_end(); });
  Settings settings;
  settings.drain_idle_ms = 100;
  TestRouter router({backend.addr()}, settings);
  auto idle = router.client();
  auto busy = router.client();
  ASSERT_TRUE(busy.send(kGet));
  EXPECT_EQ(idle.ask("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").status, 404);
  router.plane.stop_accepting();

  EXPECT_FALSE(router.plane.drain(deadline_in(1'000)));

  EXPECT_TRUE(idle.at_end());
  EXPECT_TRUE(busy.at_end());
  EXPECT_EQ(router.plane.totals().connections, 0u);
}

TEST(Drain, AcceptsAgainAfterAStop) {
  TestBackend backend(echo_requests);
  TestRouter router({backend.addr()});
  router.plane.stop_accepting();
  auto client = router.client();  // waits in the queue of the socket that is still open
  client.send(kGet);

  ASSERT_EQ(router.plane.accept(router.listener.get()), "");

  EXPECT_EQ(client.read_answer().status, 200);
}

TEST(Drain, LeavesNoDescriptorAndNoThread) {
  TestBackend backend(echo_requests);
  const auto listener = testing::listen_anywhere();
  const auto descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  for (int round = 0; round < 20; ++round) {
    DataPlane plane;
    ASSERT_EQ(plane.start(Settings{}), "");
    ASSERT_EQ(plane.accept(listener.get()), "");
    auto open = Peer::connect(testing::port_of(listener.get()));
    ASSERT_EQ(open.ask("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").status, 404);
    plane.stop();
    EXPECT_TRUE(open.at_end());
  }
  EXPECT_EQ(entries("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries("/proc/self/task"), threads);
}

}  // namespace
}  // namespace flynn::router
