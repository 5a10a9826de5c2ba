#include "job_unit.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace flynn::host {
namespace {

bool has(const std::vector<ActionType>& actions, ActionType wanted) {
  return std::find(actions.begin(), actions.end(), wanted) != actions.end();
}

JobUnit given_job(bool checked = false) {
  JobUnit unit;
  unit.spec.id = "j";
  if (checked) unit.spec.ports.push_back({8080, "web", ServiceCheck{}});
  return unit;
}

// Through wanted, prepared and started.
JobUnit given_running(bool checked) {
  auto unit = given_job(checked);
  plan(unit, {EventType::wanted}, "t0");
  plan(unit, {EventType::prepared}, "t1");
  plan(unit, {EventType::started}, "t2");
  return unit;
}

TEST(JobUnit, IsUpOnceItRunsWhenItHasNoChecks) { EXPECT_EQ(given_running(false).phase, Phase::up); }

TEST(JobUnit, IsUpOnlyAfterItsChecksHavePassed) {
  auto unit = given_running(true);
  EXPECT_STREQ(state_name(unit.phase), "starting");

  const auto actions = plan(unit, {EventType::checks_passed}, "t3");

  EXPECT_EQ(unit.phase, Phase::up);
  EXPECT_TRUE(has(actions, ActionType::report));
}

TEST(JobUnit, LeavesDiscoveryBeforeItIsAskedToEnd) {
  auto unit = given_running(true);

  const auto actions = plan(unit, {EventType::stop_wanted}, "t3");

  const auto withdraw = std::find(actions.begin(), actions.end(), ActionType::withdraw);
  const auto signal = std::find(actions.begin(), actions.end(), ActionType::signal_term);
  EXPECT_LT(withdraw, signal);
  EXPECT_TRUE(has(plan(unit, {EventType::stop_overdue}, "t4"), ActionType::signal_kill));
}

TEST(JobUnit, ThatEndedIsTornDownAndReported) {
  auto unit = given_running(false);

  const auto actions = plan(unit, {EventType::ended, "", 3, true}, "t3");

  EXPECT_EQ(unit.exit_status, 3);
  EXPECT_NE(unit.error.find("out of memory"), std::string::npos);
  EXPECT_TRUE(has(actions, ActionType::tear_down) && has(actions, ActionType::report));
}

TEST(JobUnit, WaitsForItsAttacherBeforeItStarts) {
  auto unit = given_job();
  unit.spec.attach = true;
  plan(unit, {EventType::wanted}, "t0");

  EXPECT_FALSE(has(plan(unit, {EventType::prepared}, "t1"), ActionType::start_program));
  EXPECT_TRUE(has(plan(unit, {EventType::attacher_came}, "t2"), ActionType::start_program));
}

TEST(JobUnit, StoppedWhileItIsPreparedNeverStarts) {
  auto unit = given_job();
  plan(unit, {EventType::wanted}, "t0");
  plan(unit, {EventType::stop_wanted}, "t1");

  const auto actions = plan(unit, {EventType::prepared}, "t2");

  EXPECT_FALSE(has(actions, ActionType::start_program));
  EXPECT_EQ(unit.phase, Phase::down);
}

TEST(JobUnit, OfARestartedMachineIsDownAndSaysWhy) {
  auto unit = given_running(false);

  plan(unit, {EventType::machine_restarted}, "t3");

  EXPECT_EQ(unit.phase, Phase::down);
  EXPECT_EQ(unit.error, "host restarted");
}

}  // namespace
}  // namespace flynn::host
