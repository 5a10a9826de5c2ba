// Canary, probation and the gate over both: who serves what share, and how a version that is worse goes.
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "board_client.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

SwapOptions canary_of(unsigned permille, std::chrono::milliseconds span) {
  SwapOptions options;
  options.canary_permille = permille;
  options.canary_for = span;
  return options;
}

SwapOptions probation_of(std::chrono::milliseconds span) {
  SwapOptions options;
  options.probation = span;
  return options;
}

// Swaps on a thread of its own, while the test calls without pause from the phase's begin to its end.
class CalledDuring {
 public:
  CalledDuring(ZooNode& zoo, const std::string& animal, const SwapOptions& options, const std::string& phase) {
    for (int i = 0; i < 100; ++i) (void)zoo.version();  // what the old one is compared by
    std::thread swapper([&] {
      outcome = zoo.node().swap("cage", zoo_file(animal), options, [&](const std::string& now, double) {
        if (inside_ && now != phase) left_ = true;
        inside_ = inside_ || now == phase;
      });
      left_ = true;
    });
    while (!inside_ && !left_) std::this_thread::yield();
    while (!left_) ++answers[zoo.version()];
    swapper.join();
  }

  Result<SwapOutcome> outcome = Error{};
  std::map<std::string, int> answers;
  int all() const {
    int sum = 0;
    for (const auto& [version, count] : answers) sum += count;
    return sum;
  }

 private:
  std::atomic<bool> inside_{false}, left_{false};
};

const json::object& gate_of(const json::object& entry) {
  static const json::object none;
  const auto* gate = find_object(entry, "gate");
  return gate == nullptr ? none : *gate;
}

TEST(Canary, GetsItsShareOfTheCallsAndThenAllOfThem) {
  ZooNode zoo("good");

  CalledDuring run(zoo, "good_2", canary_of(100, 400ms), "canary");

  ASSERT_TRUE(run.outcome.ok()) << run.outcome.error().message;
  ASSERT_GT(run.all(), 1000);
  const double share = 100.0 * run.answers["2.0.0"] / run.all();
  EXPECT_NEAR(share, 10, 0.5) << run.answers["2.0.0"] << " of " << run.all();
  EXPECT_EQ(run.answers["1.0.0"] + run.answers["2.0.0"], run.all()) << "no call failed";
  EXPECT_EQ(zoo.version(), "2.0.0");
  EXPECT_TRUE(run.outcome->report.unmapped);
}

TEST(Canary, ThatFailsGoesAndTheOldVersionNeverLeft) {
  ZooNode zoo("good");

  CalledDuring run(zoo, "errors_after_flip", canary_of(100, 30s), "canary");

  ASSERT_FALSE(run.outcome.ok());
  EXPECT_NE(run.outcome.error().message.find("canary: errors: 100.00 %"), std::string::npos)
      << run.outcome.error().message;
  EXPECT_NEAR(100.0 * run.answers["internal"] / run.all(), 10, 3) << "only the canary's share failed";
  EXPECT_EQ(zoo.version(), "1.0.0");
  const auto entry = zoo.last_in_history();
  EXPECT_NE(string_or(entry, "outcome").find("errors"), std::string::npos) << entry;
  EXPECT_GE(int_or(gate_of(entry).at("new").at("calls").as_object(), "failed"), 20) << entry;
  EXPECT_EQ(int_or(gate_of(entry).at("old").at("calls").as_object(), "failed"), 0) << entry;
  EXPECT_LT(entry.at("back_ms").to_number<double>(), 1000);
  EXPECT_EQ(zoo.zombies(), 0);
}

// Otherwise the slot would have nobody but the canary until its time is over: what died comes back when the swap ends.
TEST(Canary, EndsAtOnceWhenTheVersionInForceDiesInItsCage) {
  ZooNode zoo({{"cage", "good"}}, in_cages);
  const auto process = [&] { return int_or(*zoo.node().inspect("cage"), "process"); };
  const auto old = process();
  Result<SwapOutcome> outcome = Error{};
  std::thread swapper([&] {
    outcome = zoo.node().swap("cage", zoo_file("good_2"), canary_of(100, 600s), [&](const std::string& phase, double) {
      if (phase == "canary") ::kill(static_cast<pid_t>(old), SIGKILL);
    });
  });
  swapper.join();

  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.error().message.find("the version in force ended: signal 9"), std::string::npos)
      << outcome.error().message;
  const auto deadline = Deadline::after(20s);
  while (zoo.version() != "1.0.0" && !deadline.passed()) std::this_thread::yield();
  EXPECT_EQ(zoo.version(), "1.0.0");
  EXPECT_NE(process(), old);
}

TEST(Canary, IsNotForAPluginThatIsSwappedExclusively) {
  ZooNode zoo("exclusive");

  const auto swapped = zoo.swap("exclusive_2", canary_of(50, 1s));

  ASSERT_FALSE(swapped.ok());
  EXPECT_NE(swapped.error().message.find("swapped exclusively"), std::string::npos) << swapped.error().message;
  EXPECT_EQ(string_or(zoo.plan("exclusive_2", "cage", canary_of(50, 1s)), "verdict"), "refused");
  EXPECT_EQ(string_or(zoo.plan("exclusive_2"), "verdict"), "changes");
}

// As soon as the canary gets any, `enough` connections are opened; then it is waited for that their share has moved.
struct Visitors {
  Visitors(ZooNode& zoo, const std::string& animal, const SwapOptions& options, int enough, int expected) {
    std::atomic<bool> begun{false}, ended{false};
    std::thread swapper([&] {
      outcome = zoo.node().swap("cage", zoo_file(animal), options, [&](const std::string& phase, double) {
        begun = begun || phase == "canary";
        ended = ended || (begun && phase != "canary");
      });
      ended = true;
    });
    while (!begun && !ended) std::this_thread::yield();
    while (!ended && served_by("2.0.0", early) == 0) early.push_back(std::make_unique<BoardClient>(zoo.port()));
    while (!ended && static_cast<int>(clients.size()) < enough)
      clients.push_back(std::make_unique<BoardClient>(zoo.port()));
    while (!ended && by_canary < expected) by_canary = served_by("2.0.0", clients);
    swapper.join();
  }
  std::vector<std::unique_ptr<BoardClient>> early, clients;
  int by_canary = 0;
  Result<SwapOutcome> outcome = Error{};
};

TEST(Canary, GetsItsShareOfTheConnections) {
  ZooNode zoo("board");

  Visitors run(zoo, "board_2", canary_of(200, 4s), 400, 80);

  ASSERT_TRUE(run.outcome.ok()) << run.outcome.error().message;
  ASSERT_EQ(run.clients.size(), 400u);
  EXPECT_EQ(run.by_canary, 80) << "a fifth, to the connection";
  EXPECT_EQ(served_by("2.0.0", run.clients), 400) << "after the flip all of them";
}

TEST(Canary, HandsItsConnectionsBackWhenItFails) {
  ZooNode zoo("board");

  Visitors run(zoo, "board_failing", canary_of(200, 30s), 400, 401);

  ASSERT_FALSE(run.outcome.ok());
  EXPECT_NE(run.outcome.error().message.find("requests failed"), std::string::npos) << run.outcome.error().message;
  EXPECT_EQ(served_by("1.0.0", run.clients), static_cast<int>(run.clients.size())) << "nobody was cut off";
  EXPECT_EQ(served_by("1.0.0", run.early), static_cast<int>(run.early.size()));
  EXPECT_EQ(int_or(zoo.last_in_history().at("connections").as_object(), "lost", -1), 0);
}

struct Worse {
  const char *animal, *rule;
};

class Probation : public testing::TestWithParam<Worse> {};

TEST_P(Probation, BringsTheOldVersionBackWithinASecond) {
  ZooNode zoo("good");

  CalledDuring run(zoo, GetParam().animal, probation_of(30s), "probation");

  ASSERT_FALSE(run.outcome.ok());
  EXPECT_NE(run.outcome.error().message.find(std::string("rolled back: probation: ") + GetParam().rule),
            std::string::npos)
      << run.outcome.error().message;
  EXPECT_EQ(zoo.version(), "1.0.0");
  const auto entry = zoo.last_in_history();
  EXPECT_LT(entry.at("back_ms").to_number<double>(), 1000) << entry;
  EXPECT_GT(entry.at("back_ms").to_number<double>(), 0) << entry;
  EXPECT_FALSE(gate_of(entry).empty());
  EXPECT_EQ(zoo.zombies(), 0);
}

INSTANTIATE_TEST_SUITE_P(Zoo, Probation,
                         testing::Values(Worse{"errors_after_flip", "errors"}, Worse{"slow_after_flip", "latency"},
                                         Worse{"leaks_after_flip", "descriptors"}, Worse{"sick_after_flip", "health"}),
                         [](const auto& sin) { return std::string(sin.param.rule); });

TEST(ProbationAlone, NoticesThreadsThatGather) {
  ZooNode zoo("good");
  zoo.core().gate.descriptors_max = 10'000;
  zoo.reboot();

  const auto swapped = zoo.swap("leaks_after_flip", probation_of(30s));

  ASSERT_FALSE(swapped.ok());
  EXPECT_NE(swapped.error().message.find("threads"), std::string::npos) << swapped.error().message;
}

TEST(ProbationAlone, EndsWithTheNodeAndTheOldVersionIsBootedNext) {
  ZooNode zoo("good");
  std::atomic<bool> begun{false};
  Result<SwapOutcome> outcome = Error{};
  std::thread swapper([&] {
    outcome = zoo.node().swap("cage", zoo_file("good_2"), probation_of(600s),
                              [&](const std::string& phase, double) { begun = begun || phase == "probation"; });
  });
  while (!begun) std::this_thread::yield();

  zoo.node().shut_down();
  swapper.join();

  EXPECT_NE(outcome.error().message.find("the node ends"), std::string::npos) << outcome.error().message;
  zoo.reboot();
  EXPECT_EQ(zoo.version(), "1.0.0");
}

}  // namespace
}  // namespace flynn::core
