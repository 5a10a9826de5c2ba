// Connections move with a swap, and back when it fails: through the C ABI, over real sockets.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "board_client.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

constexpr int kClients = 300;  // more than two batches of 128
constexpr auto kLong = std::chrono::seconds(20);

using Clients = std::vector<std::unique_ptr<BoardClient>>;

Clients connect(const ZooNode& zoo, int count) {
  Clients clients;
  for (int i = 0; i < count; ++i) clients.push_back(std::make_unique<BoardClient>(zoo.port()));
  return clients;
}

std::int64_t figure(const json::object& entry, const char* object, const char* member) {
  const auto* found = find_object(entry, object);
  return found == nullptr ? -1 : int_or(*found, member, -1);
}

TEST(HandOver, MovesEveryIdleConnection) {
  ZooNode zoo("board");
  auto clients = connect(zoo, kClients);
  ASSERT_EQ(served_by("1.0.0", clients), kClients);

  const auto swapped = zoo.swap("board_2");

  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  EXPECT_EQ(served_by("2.0.0", clients), kClients);
  EXPECT_EQ(swapped->report.connections.moved, std::uint64_t{kClients});
  EXPECT_EQ(swapped->report.connections.lost, 0u);
  EXPECT_TRUE(swapped->report.unmapped) << swapped->report.left_mapped_because;
}

TEST(HandOver, MovesABusyConnectionOnceItsRequestHasEnded) {
  ZooNode zoo("board");
  auto clients = connect(zoo, 2);
  ASSERT_EQ(served_by("1.0.0", clients), 2);
  clients[0]->begin_request();
  ASSERT_EQ(clients[0]->who(), "1.0.0");  // it has seen both bytes
  SwapOptions options;
  options.drain = kLong;
  std::string ended_by;
  std::thread client;
  const auto swapped = zoo.node().swap("cage", zoo_file("board_2"), options, [&](const std::string& phase, double) {
    if (phase == "drain") client = std::thread([&] { ended_by = clients[0]->ask('e'); });
  });
  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  client.join();

  EXPECT_EQ(ended_by, "1.0.0") << "a request ends where it began";
  EXPECT_EQ(served_by("2.0.0", clients), 2);
  EXPECT_LT(swapped->report.total_ms, 10'000) << "nothing waited for the drain's deadline";
}

TEST(HandOver, GivesConnectionsBackWhenTheNewVersionFails) {
  ZooNode zoo("board");
  auto clients = connect(zoo, kClients);
  ASSERT_EQ(served_by("1.0.0", clients), kClients);

  const auto swapped = zoo.swap("board_sick");

  ASSERT_FALSE(swapped.ok());
  EXPECT_NE(swapped.error().message.find("the lines are crossed"), std::string::npos) << swapped.error().message;
  EXPECT_EQ(served_by("1.0.0", clients), kClients);
  EXPECT_EQ(figure(zoo.last_in_history(), "connections", "moved"), 2 * kClients) << "there and back";
  EXPECT_EQ(figure(zoo.last_in_history(), "connections", "lost"), 0);
  EXPECT_EQ(BoardClient(zoo.port()).who(), "1.0.0") << "it accepts again";
}

TEST(HandOver, LeavesConnectionsThatAreRefusedToTheOldVersion) {
  ZooNode zoo("board");
  auto clients = connect(zoo, 3);
  ASSERT_EQ(served_by("1.0.0", clients), 3);
  SwapOptions options;
  options.drain = kLong;
  int served_in_drain = 0;
  std::thread client;
  const auto swapped =
      zoo.node().swap("cage", zoo_file("board_refusing"), options, [&](const std::string& phase, double) {
        if (phase == "drain")
          client = std::thread([&] {
            served_in_drain = served_by("1.0.0", clients);
            clients.clear();
          });
      });
  ASSERT_TRUE(swapped.ok()) << "a hand-over that fails is no reason to fail a swap: " << swapped.error().message;
  client.join();

  EXPECT_EQ(served_in_drain, 3);
  EXPECT_EQ(swapped->report.connections.refused, 3u);
  EXPECT_EQ(swapped->report.connections.lost, 0u);
  std::stringstream log;
  log << std::ifstream(zoo.folder() + "/log").rdbuf();
  EXPECT_NE(log.str().find("take_over_failed"), std::string::npos) << log.str();
}

TEST(HandOver, OfAPluginThatCanNotIsADrain) {
  ZooNode zoo("good");

  const auto swapped = zoo.swap("good_2");

  ASSERT_TRUE(swapped.ok());
  EXPECT_EQ(swapped->report.connections.moved, 0u);
}

}  // namespace
}  // namespace flynn::core
