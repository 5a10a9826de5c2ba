// What an operator does when he does not like what he sees: a swap on canary or probation goes back at his word.
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <thread>
#include <utility>

#include "zoo_node.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

// A change on a thread of its own that is in `phase`, where it would stay for ten minutes.
class Lasting {
 public:
  using Change = std::function<Result<SwapOutcome>(const SwapOptions& options, const SwapProgress& progress)>;
  Lasting(const std::string& phase, const Change& change) {
    SwapOptions options;
    options.who = "somebody";
    if (phase == "canary") {
      options.canary_permille = 100;
      options.canary_for = 600s;
    } else {
      options.probation = 600s;
    }
    thread_ = std::thread([this, phase, change, options] {
      bool told = false;
      outcome = change(options, [&](const std::string& now, double) {
        if (now == phase && !std::exchange(told, true)) inside_.set_value();
      });
      if (!told) inside_.set_value();
    });
    inside_.get_future().wait();
  }
  ~Lasting() { end(); }
  void end() {
    if (thread_.joinable()) thread_.join();
  }
  Result<SwapOutcome> outcome = Error{};

 private:
  std::promise<void> inside_;
  std::thread thread_;
};

SwapOptions asked_by(const std::string& who) {
  SwapOptions options;
  options.who = who;
  return options;
}

class TakenBack : public testing::TestWithParam<const char*> {};

TEST_P(TakenBack, TheOldVersionIsInForceAndTheRecordSaysWhoWantedIt) {
  const std::string phase = GetParam();
  ZooNode zoo("good");
  Lasting swap(phase, [&](const SwapOptions& options, const SwapProgress& progress) {
    return zoo.node().swap("cage", zoo_file("good_2"), options, progress);
  });

  const auto back = zoo.node().roll_back("cage", {}, asked_by("root"));
  swap.end();

  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_TRUE(back->taken_back);
  EXPECT_EQ(string_or(back->from, "version"), "2.0.0");
  EXPECT_EQ(string_or(back->to, "version"), "1.0.0");
  EXPECT_TRUE(back->report.unmapped) << back->report.left_mapped_because;
  EXPECT_EQ(zoo.version(), "1.0.0");
  ASSERT_FALSE(swap.outcome.ok());
  EXPECT_EQ(swap.outcome.error().message, "rolled back: root took it back during the " + phase);
  const auto entry = zoo.last_in_history();
  EXPECT_EQ(string_or(entry, "outcome"), swap.outcome.error().message);
  EXPECT_EQ(string_or(entry, "who"), "somebody");
  EXPECT_EQ(zoo.node().roll_back("cage", {}).error().code, Code::failed_precondition)
      << "there is no version before this one";
}

INSTANTIATE_TEST_SUITE_P(Phases, TakenBack, testing::Values("canary", "probation"),
                         [](const auto& phase) { return std::string(phase.param); });

TEST(TakenBackOnce, ARollBackIsNot) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.swap("good_2").ok());
  Lasting first("probation", [&](const SwapOptions& options, const SwapProgress& progress) {
    return zoo.node().roll_back("cage", progress, options);
  });

  const auto again = zoo.node().roll_back("cage", {}, asked_by("root"));

  EXPECT_EQ(zoo.version(), "1.0.0");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, Code::conflict) << "who asks twice wants it once";
  zoo.node().shut_down();  // ends the probation
}

TEST(TakenBackOnce, AConfigurationGoesBackToo) {
  ZooNode zoo("relay");
  zoo.set_file_config("cage", R"({"size":3})");
  zoo.reboot();
  const auto digest = [&] { return json::serialize(zoo.node().effective_config("cage").value_or("")); };
  const auto before = digest();
  std::promise<void> inside;
  SwapOptions options;
  options.probation = 600s;
  Result<bool> changed = Error{};
  std::thread configures([&] {
    bool told = false;
    changed = zoo.node().configure("cage", R"({"size":4})", options, [&](const std::string& now, double) {
      if (now == "probation" && !std::exchange(told, true)) inside.set_value();
    });
    if (!told) inside.set_value();
  });
  inside.get_future().wait();

  const auto back = zoo.node().roll_back("cage", {}, asked_by("root"));
  configures.join();

  EXPECT_TRUE(back.ok()) << back.error().message;
  EXPECT_FALSE(changed.ok());
  EXPECT_EQ(digest(), before);
}

}  // namespace
}  // namespace flynn::core
