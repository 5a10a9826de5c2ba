// A plugin that brings the host down is found out, taken back or put aside; the others run.
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "audit_verify.h"
#include "crash_loop.h"
#include "running_host.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

const CrashLimits kLimits{3, 60s};

SlotRecord record_of(const char* current, const char* previous) {
  SlotRecord record;
  if (current != nullptr) record.current = RecordedVersion{"/current.so", "2.0.0", current};
  if (previous != nullptr) record.previous = RecordedVersion{"/previous.so", "1.0.0", previous};
  return record;
}

TEST(CrashLoop, ReturnsToTheVersionBeforeOnTheThirdCrashWithinTheWindow) {
  auto record = record_of("bad", "good");

  EXPECT_EQ(judge_crash(record, "bad", 1'000, kLimits).answer, CrashAnswer::start_again);
  EXPECT_EQ(judge_crash(record, "bad", 2'000, kLimits).answer, CrashAnswer::start_again);
  EXPECT_EQ(judge_crash(record, "bad", 3'000, kLimits).answer, CrashAnswer::go_back);

  EXPECT_EQ(record.current->digest, "good");
  EXPECT_FALSE(record.previous) << "the bad one must not return when the good one crashes as well";
}

TEST(CrashLoop, ForgetsCrashesThatAreOldAndThoseOfAnotherVersion) {
  auto record = record_of("bad", nullptr);

  (void)judge_crash(record, "bad", 1'000, kLimits);
  (void)judge_crash(record, "bad", 2'000, kLimits);
  EXPECT_EQ(judge_crash(record, "bad", 90'000, kLimits).answer, CrashAnswer::start_again);
  EXPECT_EQ(judge_crash(record, "bad", 91'000, kLimits).crashes, 2u);
  EXPECT_EQ(judge_crash(record, "other", 92'000, kLimits).crashes, 1u);
}

TEST(CrashLoop, PutsAsideWhatHasNoVersionBefore) {
  auto record = record_of(nullptr, nullptr);
  for (int i = 0; i < 2; ++i) (void)judge_crash(record, "bad", 1'000, kLimits);

  EXPECT_EQ(judge_crash(record, "bad", 1'000, kLimits).answer, CrashAnswer::quarantine);
  EXPECT_EQ(record.quarantined_digest, "bad");
  EXPECT_EQ(judge_crash(record, "bad", 1'000, {0, 60s}).answer, CrashAnswer::start_again) << "no limit";
}

// The words of the note that the next host found, after `method` brought this one down.
std::string blamed_for(const RunningHost& host, const std::string& method) {
  const pid_t before = host.wait_for_host();
  (void)host.call(method);
  if (host.wait_for_host(before) < 0) return "no host came back";
  for (const char* action : {"quarantine", "crash"})
    if (const auto entry = host.entry(action); string_or(entry, "slot") == "cage") return json::serialize(entry);
  return "nobody";
}

class CrashOf : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(CrashOf, IsLaidAtThePluginsDoor) {
  const auto& [method, words] = GetParam();
  const RunningHost host({{"cage", "crasher"}, {"other", "provides_less"}});

  const auto blame = blamed_for(host, method);

  EXPECT_NE(blame.find(words), std::string::npos) << blame;
  EXPECT_EQ(host.state("cage"), "up") << "once is not a loop";
  EXPECT_NE(string_or(host.slot("cage"), "note").find("crashed 1 time"), std::string::npos);
  EXPECT_EQ(host.state("other"), "up");
  EXPECT_TRUE(string_or(host.slot("other"), "note").empty());
}

INSTANTIATE_TEST_SUITE_P(Methods, CrashOf,
                         testing::Values(std::pair{"Crash", "(SIGSEGV) in its code at +0x"},
                                         std::pair{"Abort", "(SIGABRT) below a call into it"},
                                         std::pair{"Exit", "it called exit() below a call into it"},
                                         std::pair{"CrashOnThread", "(SIGSEGV) in its code at +0x"},
                                         std::pair{"AbortOnThread", "(SIGABRT) below its code"}),
                         [](const auto& one) { return std::string(one.param.first); });

class CrashLoopOf : public testing::TestWithParam<const char*> {};

TEST_P(CrashLoopOf, IsPutAsideAndTheOthersRun) {
  const RunningHost host({{"other", "provides_less"}, {"cage", GetParam()}});

  ASSERT_TRUE(RunningHost::wait_until([&] { return host.state("cage") == "failed"; })) << host.keeper_words();
  ASSERT_GT(host.wait_for_host(), 1) << "the others may still be on their way up";

  EXPECT_EQ(host.state("other"), "up");
  const auto reason = string_or(host.slot("cage"), "reason");
  EXPECT_NE(reason.find("crashed 3 times within 60 s"), std::string::npos) << reason;
  EXPECT_NE(reason.find("flynn plugin start cage"), std::string::npos) << reason;
  EXPECT_EQ(string_or(host.entry("quarantine"), "slot"), "cage");
  const auto swapped = host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("good_2")}});
  EXPECT_TRUE(swapped.contains("result")) << json::serialize(swapped);
  EXPECT_EQ(string_or(host.call("Version"), "version"), "2.0.0");
  EXPECT_EQ(host.state("cage"), "up");
  EXPECT_TRUE(verify_audit_file(host.audit_file())->whole());
}

INSTANTIATE_TEST_SUITE_P(Sins, CrashLoopOf, testing::Values("crash_in_start", "overflow_in_start", "crash_on_thread"),
                         [](const auto& one) { return std::string(one.param); });

TEST(Crash, OnTheThirdCallEachTimeBringsTheLastGoodVersionBack) {
  const RunningHost host({{"cage", "good"}, {"other", "provides_less"}});
  pid_t pid = host.wait_for_host();
  ASSERT_TRUE(host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("crasher_2")}}).contains("result"));

  for (int crashes = 0; crashes < 3; ++crashes) {
    ASSERT_EQ(string_or(host.call("Version"), "version"), "2.0.0") << crashes;
    for (int call = 0; call < 3; ++call) (void)host.call("ThirdCall");
    pid = host.wait_for_host(pid);
    ASSERT_GT(pid, 1);
  }

  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0");
  const auto note = string_or(host.slot("cage"), "note");
  EXPECT_NE(note.find("2.0.0 crashed 3 times within 60 s"), std::string::npos) << note;
  EXPECT_NE(note.find("1.0.0, the last good version, is back"), std::string::npos) << note;
  EXPECT_EQ(string_or(*find_object(host.entry("crash_rollback"), "to"), "version"), "1.0.0");
  ::kill(pid, SIGKILL);
  ASSERT_GT(host.wait_for_host(pid), 1);
  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0") << "and stays";
}

TEST(Crash, OnProbationBootsTheVersionBefore) {
  const RunningHost host({{"cage", "good"}});
  const pid_t first = host.wait_for_host();

  const auto answer = host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("crash_on_probation")}});
  ASSERT_GT(host.wait_for_host(first), 1);

  EXPECT_TRUE(answer.empty()) << "the host died: " << json::serialize(answer);
  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0");
  const auto note = string_or(host.slot("cage"), "note");
  EXPECT_NE(note.find("2.0.0 was undone"), std::string::npos) << note;
  EXPECT_NE(note.find("SIGSEGV"), std::string::npos) << note;
  EXPECT_EQ(string_or(*find_object(host.entry("swap_undone"), "from"), "version"), "2.0.0");
  EXPECT_TRUE(host.entry("crash").empty()) << "the version that is back did not crash";
}

TEST(Crash, OfANewVersionBeforeItHasWorkIsNoFaultOfTheOneInForce) {
  const RunningHost host({{"cage", "good"}});
  pid_t pid = host.wait_for_host();
  ASSERT_TRUE(host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("good_2")}}).contains("result"));

  for (int crashes = 0; crashes < 3; ++crashes) {
    (void)host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("crash_in_start")}});
    pid = host.wait_for_host(pid);
    ASSERT_GT(pid, 1);
    EXPECT_EQ(string_or(host.call("Version"), "version"), "2.0.0");
  }

  const auto note = string_or(host.slot("cage"), "note");
  EXPECT_EQ(note.find("the swap to 1.0.0 was given up: the host ended before 1.0.0 had any work (signal 11"), 0u)
      << note;
  EXPECT_EQ(string_or(*find_object(host.entry("swap_undone"), "from"), "version"), "1.0.0");
  EXPECT_TRUE(host.entry("crash").empty() && host.entry("crash_rollback").empty());
  const auto back = host.ask("plugin.rollback", {{"slot", "cage"}});
  EXPECT_TRUE(back.contains("result")) << "the way back is kept: " << json::serialize(back);
}

TEST(Crash, KilledWhileANewVersionStartsSaysThatTheSwapWasGivenUp) {
  const RunningHost host({{"cage", "good"}});
  const pid_t first = host.wait_for_host();
  std::thread operator_who_swaps([&] {
    (void)host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("hang_in_start")}});
  });
  EXPECT_TRUE(RunningHost::wait_until([&] { return host.record().find(R"("attempt":"1)") != std::string::npos; }));

  ::kill(first, SIGKILL);
  operator_who_swaps.join();
  ASSERT_GT(host.wait_for_host(first), 1);

  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0");
  EXPECT_EQ(
      string_or(host.slot("cage"), "note"),
      "the swap to 1.0.0 was given up: the host ended before 1.0.0 had any work; the version before it never left");
  EXPECT_EQ(string_or(host.entry("swap_undone"), "slot"), "cage");
}

TEST(Crash, OfAHostWhoseNewVersionNeverEndsToLoadBootsTheVersionBefore) {
  const RunningHost host({{"cage", "good"}, {"other", "provides_less"}}, "", "lifecycle_ms = 2000\n");
  const pid_t first = host.wait_for_host();

  const auto answer = host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("hang_in_load")}});
  ASSERT_GT(host.wait_for_host(first), 1);

  EXPECT_TRUE(answer.empty()) << "the host ended: " << json::serialize(answer);
  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0");
  EXPECT_EQ(host.state("other"), "up");
  const auto note = string_or(host.slot("cage"), "note");
  EXPECT_NE(note.find("the swap to 2.0.0 was given up"), std::string::npos) << note;
}

TEST(Crash, OfALoadThatNeverEndsPutsThePluginAsideAndTheOthersRun) {
  const RunningHost host({{"cage", "hang_in_load"}, {"other", "provides_less"}}, "",
                         "lifecycle_ms = 1000\ncrash_limit = 1\n");

  ASSERT_TRUE(RunningHost::wait_until([&] { return host.state("cage") == "failed"; })) << host.keeper_words();
  ASSERT_GT(host.wait_for_host(), 1) << "the others may still be on their way up";

  EXPECT_EQ(host.state("other"), "up");
  EXPECT_EQ(string_or(host.entry("quarantine"), "slot"), "cage");
}

TEST(Crash, KilledOnProbationBootsTheVersionBefore) {
  const RunningHost host({{"cage", "good"}}, "", "probation_interval_ms = 5000\n");
  const pid_t first = host.wait_for_host();
  std::thread operator_who_swaps([&] {
    (void)host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("good_2")}});
  });
  EXPECT_TRUE(RunningHost::wait_until([&] { return host.record().find("\"pending\":{") != std::string::npos; }));

  ::kill(first, SIGKILL);
  operator_who_swaps.join();
  const pid_t second = host.wait_for_host(first);

  ASSERT_GT(second, 1);
  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0");
  EXPECT_NE(string_or(host.slot("cage"), "note").find("2.0.0 was undone"), std::string::npos);
  ::kill(second, SIGKILL);
  ASSERT_GT(host.wait_for_host(second), 1);
  EXPECT_TRUE(string_or(host.slot("cage"), "note").empty()) << "that swap is told of once";
}

}  // namespace
}  // namespace flynn::core
