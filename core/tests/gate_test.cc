#include <gtest/gtest.h>

#include <vector>

#include "swap_gate.h"

namespace flynn::core {
namespace {

CallFigures work(std::uint64_t calls, std::uint64_t faults, std::uint64_t mean_us) {
  CallFigures figures;
  figures.calls = calls;
  figures.faults = faults;
  figures.latency_us_sum = calls * mean_us;
  return figures;
}

GateReading even() {
  GateReading reading;
  reading.old_calls = reading.new_calls = work(1000, 10, 1000);
  reading.old_threads = reading.new_threads = 4;
  reading.before = reading.now = {100 << 20, 50, 100, 20};
  return reading;
}

std::string rule_of(const GateReading& reading, const GateLimits& limits = {}) {
  const auto breach = find_breach(reading, limits).value_or("none:");
  return breach.substr(0, breach.find(':'));
}

TEST(SwapGate, LetsThroughWhatIsNoWorse) { EXPECT_EQ(rule_of(even()), "none"); }

TEST(SwapGate, NamesTheRuleThatIsBroken) {
  auto sick = even();
  sick.sickness = "no route to the store";
  EXPECT_EQ(rule_of(sick), "health");
  auto failing = even();
  failing.new_calls = work(1000, 21, 1000);
  EXPECT_EQ(rule_of(failing), "errors");
  auto slow = even();
  slow.new_calls = work(1000, 0, 52001);
  EXPECT_EQ(rule_of(slow), "latency");
  auto fat = even();
  fat.now.memory_bytes += std::int64_t{65} << 20;
  EXPECT_EQ(rule_of(fat), "memory in MiB");
  auto leaking = even();
  leaking.now.descriptors += 201;
  EXPECT_EQ(rule_of(leaking), "descriptors");
  auto breeding = even();
  breeding.new_threads += 17;
  EXPECT_EQ(rule_of(breeding), "threads");
}

TEST(SwapGate, AllowsWhatIsExactlyAtTheLimit) {
  auto reading = even();
  reading.new_calls = work(1000, 20, 7000);
  reading.now = {164 << 20, 250, 10'100, 500};
  reading.new_threads = 20;
  EXPECT_EQ(rule_of(reading), "none") << *find_breach(reading, {});
}

TEST(SwapGate, DoesNotJudgeAHandfulOfCalls) {
  auto reading = even();
  reading.new_calls = work(19, 19, 1'000'000);
  EXPECT_EQ(rule_of(reading), "none");
  reading.new_calls = work(20, 20, 1000);
  EXPECT_EQ(rule_of(reading), "errors");
}

TEST(SwapGate, CallsSlowOnlyWhatCanBeCompared) {
  auto reading = even();
  reading.old_calls = work(0, 0, 0);
  reading.new_calls = work(100, 0, 50'000);
  EXPECT_EQ(rule_of(reading), "none");
}

TEST(SwapGate, JudgesWorkThatDidNotComeThroughTheDoorByItself) {
  auto reading = even();
  reading.old_own = work(100'000, 0, 3000);
  reading.new_own = work(500, 6, 3000);
  EXPECT_EQ(rule_of(reading), "errors");
  EXPECT_NE(find_breach(reading, {})->find("requests"), std::string::npos);
}

TEST(SwapGate, HeedsItsConfiguration) {
  auto reading = even();
  reading.now.descriptors += 10;
  GateLimits limits;
  limits.descriptors_max = 9;
  EXPECT_EQ(rule_of(reading, limits), "descriptors");
}

TEST(CallCounters, CountAsFaultsOnlyWhatThePluginIsToBlameFor) {
  CallCounters counters;
  const std::vector<flynn_status> callers{FLYNN_OK, FLYNN_E_NOT_FOUND, FLYNN_E_CONFLICT, FLYNN_E_INVALID_ARGUMENT};
  const std::vector<flynn_status> plugins{FLYNN_E_INTERNAL, FLYNN_E_UNAVAILABLE, FLYNN_E_DEADLINE_EXCEEDED, -999};
  for (const auto status : callers) counters.count(1000, status);
  for (const auto status : plugins) counters.count(3'000'000, status);

  const auto figures = counters.read();

  EXPECT_EQ(figures.calls, 8u);
  EXPECT_EQ(figures.faults, 4u);
  EXPECT_EQ(figures.latency_us_sum, 4u + 4 * 3000u);
  EXPECT_EQ(figures.p99_us(), 4096u) << "the bucket of 3 ms";
  EXPECT_EQ(figures.since(figures).calls, 0u);
}

}  // namespace
}  // namespace flynn::core
