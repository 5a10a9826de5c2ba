// The same plugins in processes of their own: what they may still do, what they may not, and what becomes of them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "board_client.h"
#include "cage_user.h"
#include "frame.h"
#include "prison.h"
#include "process_figures.h"
#include "reply_sink.h"
#include "running_host.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

TEST(Cage, PassesDocumentsAndDescriptorsBothWays) {
  Prison prison;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  json::object body{{"big", std::string(3u << 20, 'x')}, {"words", "Grüße"}};
  const std::string text = json::serialize(body);
  flynn_call call{};
  call.struct_size = sizeof call;
  call.interface = {kPrisoner, std::strlen(kPrisoner)};
  call.method = {"Echo", 4};
  call.body = {text.data(), text.size()};
  call.fds = &ends[1];
  call.fd_count = 1;
  ReplySink sink;

  const auto status = prison.zoo.node().door().pass(call, sink.table());
  auto reply = sink.take(status);

  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(reply->body, body);
  ASSERT_EQ(reply->fds.size(), 1u);
  ASSERT_EQ(::write(reply->fds[0].get(), "hi", 2), 2);
  std::array<char, 2> got{};
  ASSERT_EQ(::read(reader.get(), got.data(), 2), 2);
  EXPECT_EQ(std::string(got.data(), 2), "hi") << "the same pipe, through two processes";
}

TEST(Cage, MayCallOnlyWhatItsManifestRequiresAndAsItself) {
  ZooNode zoo({{"animal", "good"}, {"cage", "prisoner"}}, in_cages);
  const auto relay = [&](const char* interface, const char* method) {
    return zoo.call("Relay", kPrisoner, {{"interface", interface}, {"method", method}});
  };

  auto version = relay("zoo.animal/1", "Version");
  ASSERT_TRUE(version.ok()) << version.error().message;
  EXPECT_EQ(string_or(version->body, "version"), "1.0.0") << "from a cage into another";
  auto itself = relay(kPrisoner, "Facts");
  ASSERT_TRUE(itself.ok()) << itself.error().message;
  EXPECT_EQ(string_or(itself->body, "caller"), "cage");
  EXPECT_EQ(relay("flynn.node/1", "Plugins").error().code, Code::permission_denied) << "without the capability";
  EXPECT_EQ(relay("zoo.other/1", "Version").error().code, Code::permission_denied);
}

TEST(Cage, ServesManyCallsAtOnce) {
  Prison prison;
  constexpr int kCalls = 48;
  std::vector<std::thread> callers;
  std::atomic<int> answered{0};
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i)
    callers.emplace_back([&] { answered += prison.zoo.call("Sleep", kPrisoner, {{"ms", 200}}).ok() ? 1 : 0; });
  for (auto& caller : callers) caller.join();

  EXPECT_EQ(answered, kCalls);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 200ms * kCalls / 2) << "not one after the other";
}

TEST(Cage, SwapsAndHandsConnectionsOverLikeAnyOther) {
  ZooNode zoo({{"cage", "board"}}, [](NodeConfig& config) {
    in_cages(config);
    config.core.lifecycle = config.core.healthy = 5s;
  });
  std::vector<std::unique_ptr<BoardClient>> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(std::make_unique<BoardClient>(zoo.port()));
  ASSERT_EQ(served_by("1.0.0", clients), 200);

  const auto swapped = zoo.swap("board_2");

  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  EXPECT_EQ(served_by("2.0.0", clients), 200) << "sockets moved from one process to another";
  EXPECT_EQ(swapped->report.connections.moved, 200u);
  EXPECT_TRUE(swapped->report.unmapped);
}

// Processes that this thread or another one here has started and that have not been reaped.
int children() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream list(task.path() / "children");
    for (int child = 0; list >> child;) ++count;
  }
  return count;
}

TEST(Cage, ASwapThatFailsLeavesNoProcess) {
  ZooNode zoo({{"cage", "good"}}, in_cages);
  ASSERT_EQ(zoo.version(), "1.0.0") << zoo.reason();
  ASSERT_EQ(children(), 1);

  const auto swapped = zoo.swap("start_fails");

  ASSERT_FALSE(swapped.ok());
  EXPECT_NE(swapped.error().message.find("the engine does not turn"), std::string::npos) << swapped.error().message;
  EXPECT_EQ(zoo.version(), "1.0.0");
  EXPECT_TRUE(RunningHost::wait_until([] { return children() == 1; }));
}

TEST(Cage, ComesBackAfterAKillAndTheHostIsNotConcerned) {
  Prison prison;
  for (int i = 0; i < 10; ++i) {
    const pid_t before = prison.process();
    ASSERT_GT(before, 0);
    ::kill(before, SIGKILL);
    ASSERT_TRUE(prison.is_back(before)) << prison.zoo.reason();
  }
  EXPECT_TRUE(RunningHost::wait_until([&] { return prison.zoo.state() == "up"; }))
      << prison.zoo.state() << ", but a kill from outside is no crash of the version";
}

TEST(Cage, SaysUnavailableWhileItIsAway) {
  Prison prison;
  const pid_t before = prison.process();
  const auto begun = string_or(prison.ask("Facts"), "data_dir") + "/begun";
  std::string code;
  std::thread caller([&] {
    auto reply = prison.zoo.call("Sleep", kPrisoner, {{"ms", 5000}, {"begun", begun}});
    code = reply ? "ok" : std::string(code_name(reply.error().code));
  });
  EXPECT_TRUE(RunningHost::wait_until([&] { return std::filesystem::exists(begun); }));
  ::kill(before, SIGKILL);
  caller.join();

  EXPECT_EQ(code, "unavailable");
  EXPECT_TRUE(prison.is_back(before));
}

TEST(Cage, GoesBackToTheLastGoodVersionWhenOneCrashesAgainAndAgain) {
  Prison prison;
  ASSERT_TRUE(prison.zoo.swap("prisoner_2").ok());
  for (int i = 0; i < 3; ++i) {
    const pid_t before = prison.process();
    ASSERT_GT(before, 0) << prison.zoo.reason();
    (void)prison.ask("Die", {{"signal", SIGABRT}});
    ASSERT_TRUE(prison.is_back(before)) << prison.zoo.reason();
  }
  const auto facts = prison.zoo.node().inspect("cage");
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(string_or(*facts, "version"), "1.0.0");
  EXPECT_NE(string_or(*facts, "note").find("signal 6 (SIGABRT) in its cage"), std::string::npos)
      << string_or(*facts, "note");
}

TEST(Cage, PutsAsideWhatExitsAgainAndAgain) {
  Prison prison;
  for (int i = 0; i < 3; ++i) {
    const pid_t before = prison.process();
    ASSERT_GT(before, 0) << prison.zoo.reason();
    (void)prison.ask("Exit");
    if (i < 2) {
      ASSERT_TRUE(prison.is_back(before)) << prison.zoo.reason();
    }
  }
  EXPECT_TRUE(RunningHost::wait_until([&] { return prison.zoo.state() == "failed"; }));
  EXPECT_NE(prison.zoo.reason().find("exit code 7"), std::string::npos) << prison.zoo.reason();
}

TEST(Cage, KillsWhatHangsAndLeavesNoZombie) {
  ZooNode zoo({{"cage", "good"}}, in_cages);
  EXPECT_FALSE(zoo.swap("hang_in_start").ok());
  EXPECT_EQ(zoo.version(), "1.0.0");
  EXPECT_EQ(zoo.zombies(), 0);
}

TEST(Cage, GivesTheFolderBackWhenThePluginLeavesItsCage) {
  ZooNode zoo({{"cage", "prisoner"}}, in_cages);
  auto facts = zoo.call("Facts", kPrisoner);
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  const auto folder = string_or(facts->body, "data_dir");
  ASSERT_EQ(int_or(zoo.call("Try", kPrisoner, {{"what", "write"}, {"path", folder + "/kept"}})->body, "errno"), 0);

  zoo.config().plugins[0].cage.own_process = false;
  zoo.reboot();

  struct stat file {};
  ASSERT_EQ(::stat((folder + "/kept").c_str(), &file), 0);
  EXPECT_EQ(file.st_uid, ::getuid());
}

TEST(Cage, LeavesNothingOpenAfterManyLives) {
  Prison prison;
  ASSERT_GT(prison.process(), 0);
  const auto before = read_process_figures();
  for (int i = 0; i < 5; ++i) {
    const pid_t old = prison.process();
    ::kill(old, SIGKILL);
    ASSERT_TRUE(prison.is_back(old));
  }
  const auto settled = [&] {
    const auto now = read_process_figures();
    return now.threads == before.threads && now.sockets == before.sockets && now.descriptors == before.descriptors;
  };
  (void)RunningHost::wait_until(settled);
  const auto now = read_process_figures();
  EXPECT_EQ(now.threads, before.threads);
  EXPECT_EQ(now.sockets, before.sockets);
  EXPECT_EQ(now.descriptors, before.descriptors);
}

TEST(Frame, RefusesWhatIsNoFrame) {
  auto ends = make_lane();
  ASSERT_TRUE(ends.ok());
  const std::string garbage(200, 'g');
  ASSERT_EQ(::write(ends->first.fd(), garbage.data(), garbage.size()), 200);

  EXPECT_EQ(ends->second.receive(Deadline::after(1s)).error().code, Code::invalid_argument);
}

TEST(Frame, DoesNotPassMoreThanTheLimits) {
  auto ends = make_lane();
  ASSERT_TRUE(ends.ok());
  const std::string large(kFrameBytesMax + 1, 'x');
  Frame frame;
  frame.body = large;

  const auto sent = ends->first.send(frame, Deadline::after(1s));

  EXPECT_EQ(sent.error().code, Code::resource_exhausted);
  EXPECT_EQ(ends->second.receive(Deadline::after(10ms)).error().code, Code::deadline_exceeded) << "nothing was sent";
}

TEST(Frame, KeepsFramesAndTheirDescriptorsApart) {
  auto ends = make_lane();
  ASSERT_TRUE(ends.ok());
  const UniqueFd first(::memfd_create("first", MFD_CLOEXEC)), second(::memfd_create("second", MFD_CLOEXEC));
  for (const auto* fd : {&first, &second}) {
    const int number = fd->get();
    Frame frame;
    frame.method = fd == &first ? "first" : "second";
    frame.fds = &number;
    frame.fd_count = 1;
    ASSERT_TRUE(ends->first.send(frame, Deadline::after(1s)).ok());
  }
  for (const auto* fd : {&first, &second}) {
    auto received = ends->second.receive(Deadline::after(1s));
    ASSERT_TRUE(received.ok());
    EXPECT_EQ(received->frame.method, fd == &first ? "first" : "second");
    ASSERT_EQ(received->fds.size(), 1u);
    struct stat sent {
    }, got{};
    ::fstat(fd->get(), &sent);
    ::fstat(received->fds[0].get(), &got);
    EXPECT_EQ(got.st_ino, sent.st_ino);
  }
}

}  // namespace
}  // namespace flynn::core
