// One change of a slot at a time, and everybody may watch it.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <thread>

#include "admin_server.h"
#include "flynn/sdk/stream.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

// Swaps an animal that hangs in its drain, so that the slot is changing until the drain's deadline.
class LongChange {
 public:
  explicit LongChange(ZooNode& zoo) {
    thread_ = std::thread([&zoo, this] {
      SwapOptions options;
      options.who = "somebody";
      outcome = zoo.node().swap("cage", zoo_file("good_2"), options,
                                [&](const std::string& phase, double) { draining_ = draining_ || phase == "drain"; });
    });
    while (!draining_) std::this_thread::yield();
  }
  ~LongChange() { end(); }
  void end() {
    if (thread_.joinable()) thread_.join();
  }
  Result<SwapOutcome> outcome = Error{};

 private:
  std::atomic<bool> draining_{false};
  std::thread thread_;
};

TEST(Change, ConflictsNamesWhoRunsWhatAndSinceWhen) {
  ZooNode zoo("hang_in_drain");
  LongChange running(zoo);

  const auto refused = zoo.swap("good");

  EXPECT_EQ(refused.error().code, Code::conflict);
  for (const char* words : {"a swap by somebody", "running for", "in phase drain"})
    EXPECT_NE(refused.error().message.find(words), std::string::npos) << refused.error().message;
  EXPECT_EQ(zoo.node().configure("cage", "{}").error().code, Code::conflict);
}

TEST(Change, WaitsForTheOneThatRunsIfAskedTo) {
  ZooNode zoo("hang_in_drain");
  LongChange running(zoo);
  SwapOptions options;
  options.lock_wait = 20s;

  const auto second = zoo.swap("good", options);

  running.end();
  ASSERT_TRUE(running.outcome.ok()) << running.outcome.error().message;
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(zoo.version(), "1.0.0");
}

TEST(Change, ARollbackThatWaitedGoesBackFromWhatIsInForceThen) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.swap("hang_in_drain").ok());
  LongChange running(zoo);  // to good_2
  SwapOptions options;
  options.lock_wait = 20s;

  const auto back = zoo.node().roll_back("cage", {}, options);

  running.end();
  ASSERT_TRUE(running.outcome.ok()) << running.outcome.error().message;
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(string_or(back->from, "version"), "2.0.0");
  EXPECT_EQ(string_or(back->to, "digest"), string_or(running.outcome->from, "digest"));
}

TEST(Change, ARollbackThatIsRefusedTheSlotHasNotBegun) {
  ZooNode zoo("hang_in_drain");
  LongChange running(zoo);

  EXPECT_EQ(zoo.node().roll_back("cage", {}).error().code, Code::conflict);

  running.end();
  EXPECT_EQ(string_or(zoo.last_in_history(), "action"), "swap");
}

TEST(Change, OfAConfigurationThatIsRefusedIsInTheHistory) {
  ZooNode zoo("good");

  ASSERT_FALSE(zoo.node().configure("cage", R"({"size":"large"})").ok());

  const auto entry = zoo.last_in_history();
  EXPECT_EQ(string_or(entry, "action"), "configure") << entry;
  EXPECT_NE(string_or(entry, "outcome").find("refused: "), std::string::npos) << entry;
  EXPECT_EQ(json::serialize(entry).find("large"), std::string::npos) << "never the values";
}

TEST(Change, CountsEveryPhaseInItsWholeTime) {
  ZooNode zoo("good");

  const auto swapped = zoo.swap("good_2");

  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  std::set<std::string> names;
  double sum = 0;
  for (const auto& phase : swapped->report.phases) sum += phase.ms, names.insert(phase.name);
  for (const char* name : {"verify", "load", "configure", "start", "stop and unload"})
    EXPECT_TRUE(names.contains(name));
  EXPECT_GE(swapped->report.total_ms, sum);
}

TEST(Change, ThatIsRefusedTellsTheHistoryFromWhatToWhat) {
  ZooNode zoo("good");

  ASSERT_FALSE(zoo.swap("needs_missing").ok());

  const auto entry = zoo.last_in_history();
  ASSERT_NE(find_object(entry, "from"), nullptr) << entry;
  ASSERT_NE(find_object(entry, "to"), nullptr) << entry;
}

TEST(Change, IsNotBegunForAnOperatorWhoHasLeft) {
  ZooNode zoo("hang_in_drain");
  LongChange running(zoo);
  SwapOptions options;
  options.lock_wait = 20s;
  options.wanted = [] { return false; };

  EXPECT_EQ(zoo.swap("good", options).error().code, Code::cancelled);
}

TEST(Change, OfOneSlotDoesNotHoldUpAnother) {
  ZooNode zoo({{"cage", "hang_in_drain"}, {"other", "provides_less"}});
  LongChange running(zoo);

  EXPECT_TRUE(zoo.swap("provides_less", "other").ok());
}

// The admin socket of a zoo.
class WatchTest : public testing::Test {
 protected:
  WatchTest() : zoo_("good"), log_(*EventLog::open(zoo_.folder() + "/admin.log", "info")) {
    methods_ = std::make_unique<AdminMethods>(zoo_.node(), [] {});
    server_ = std::make_unique<AdminServer>(*methods_, *log_);
    EXPECT_TRUE(server_->start(path()).ok());
  }
  std::string path() const { return zoo_.folder() + "/admin.sock"; }

  LineReader ask(const std::string& request) const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_TRUE(write_all(fd.get(), request + "\n", Deadline::after(5s)).ok());
    return LineReader(std::move(fd));
  }
  // The next line, or an empty object at the end.
  static json::object next(LineReader& lines) {
    auto status = lines.next(Deadline::after(20s));
    if (!status || *status != LineReader::Status::line) return {};
    auto document = parse_json_object(lines.text());
    return document ? *document : json::object{};
  }
  void wait_for_watchers(std::size_t count) {
    for (const auto end = Deadline::after(20s); zoo_.node().changes().watchers() != count && !end.passed();)
      ::poll(nullptr, 0, 1);
    ASSERT_EQ(zoo_.node().changes().watchers(), count);
  }

  ZooNode zoo_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<AdminMethods> methods_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(WatchTest, TellsEveryWatcherEveryPhaseAndTheOutcome) {
  auto one = ask(R"({"method":"plugin.watch"})"), two = ask(R"({"method":"plugin.watch","params":{"slot":"cage"}})");
  wait_for_watchers(2);

  ASSERT_TRUE(zoo_.swap("good_2").ok());

  for (auto* watcher : {&one, &two}) {
    std::set<std::string> phases;
    std::string outcome;
    while (outcome.empty()) {
      const auto line = next(*watcher);
      const auto* progress = find_object(line, "progress");
      ASSERT_NE(progress, nullptr) << line;
      EXPECT_EQ(string_or(*progress, "slot"), "cage");
      phases.insert(string_or(*progress, "phase"));
      outcome = string_or(*progress, "outcome");
      if (string_or(*progress, "phase") == "drain") {
        EXPECT_EQ(int_or(*progress, "deadline_ms"), 200);
      }
    }
    EXPECT_EQ(outcome, "committed");
    for (const char* phase : {"verify", "load", "start", "health", "flip", "activate", "probation", "drain"})
      EXPECT_TRUE(phases.contains(phase)) << phase;
  }
}

TEST(ChangeBoard, WakesNobodyWhileHushedAndThenTellsAll) {
  ChangeBoard board;
  ASSERT_TRUE(board.begin("cage", "swap", "somebody", 0ms, {}).ok());
  auto watcher = board.watch("");
  ASSERT_TRUE(watcher.ok());
  (void)(*watcher)->take();
  board.hush("cage", true);

  board.enter("cage", "quiesce", 10ms);
  board.enter("cage", "start", 20ms);

  pollfd lines{(*watcher)->fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&lines, 1, 0), 0);
  EXPECT_EQ(string_or(board.running_lines("cage").front(), "phase"), "start");
  board.hush("cage", false);
  const auto told = (*watcher)->take();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(string_or(told[0], "phase"), "quiesce");
  EXPECT_EQ(string_or(told[1], "phase"), "start");
  board.end("cage", "committed");
}

TEST_F(WatchTest, ForgetsAWatcherThatLeaves) {
  {
    auto gone = ask(R"({"method":"plugin.watch"})");
    wait_for_watchers(1);
  }
  wait_for_watchers(0);
}

TEST_F(WatchTest, EndsWithTheServer) {
  auto watcher = ask(R"({"method":"plugin.watch"})");
  wait_for_watchers(1);

  server_->stop();

  EXPECT_NE(find_object(next(watcher), "result"), nullptr);
}

TEST_F(WatchTest, RefusesASlotThatThereIsNot) {
  auto lines = ask(R"({"method":"plugin.watch","params":{"slot":"nowhere"}})");
  EXPECT_NE(json::serialize(next(lines)).find("not_found"), std::string::npos);
}

TEST_F(WatchTest, NamesTheOperatorByHisProcess) {
  auto swapped = ask(R"({"method":"plugin.swap","params":{"slot":"cage","path":")" + zoo_file("good_2") + R"("}})");
  while (find_object(next(swapped), "progress") != nullptr) {
  }
  EXPECT_NE(string_or(zoo_.last_in_history(), "who").find("(pid " + std::to_string(::getpid()) + ")"),
            std::string::npos)
      << zoo_.last_in_history();
}

TEST_F(WatchTest, PlansOverTheSocketAndRefusesNonsense) {
  auto plan = ask(R"({"method":"plugin.plan","params":{"slot":"cage","path":")" + zoo_file("no_note") + R"("}})");
  EXPECT_NE(json::serialize(next(plan)).find(R"("verdict":"refused")"), std::string::npos);
  for (const char* params : {R"("canary_permille":1000)", R"("lock_wait_ms":-1)", R"("probation_ms":"soon")"}) {
    auto answer =
        ask(R"({"method":"plugin.swap","params":{"slot":"cage","path":"/x.so",)" + std::string(params) + "}}");
    EXPECT_NE(json::serialize(next(answer)).find("invalid_argument"), std::string::npos) << params;
  }
}

TEST_F(WatchTest, ShowsAChangeInTheList) {
  ZooNode slow("hang_in_drain");
  LongChange running(slow);

  const auto listed = json::serialize(slow.node().list());

  EXPECT_NE(listed.find(R"("phase":"drain")"), std::string::npos) << listed;
}

}  // namespace
}  // namespace flynn::core
