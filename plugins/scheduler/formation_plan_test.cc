#include "formation_plan.h"

#include <gtest/gtest.h>

#include <chrono>

#include "flynn/sdk/clock.h"
#include "restart_backoff.h"

namespace flynn::scheduler {
namespace {

constexpr TimeMs kNow = 1'800'000'000'000;

std::string at(TimeMs ms) { return rfc3339(std::chrono::system_clock::time_point(std::chrono::milliseconds(ms))); }

// A cell written key by key, as the store would tell it.
class Cell : public CellState {
 public:
  using CellState::put;
  void put(const std::string& key, json::object value, std::int64_t revision = 1) {
    KeyValue kv;
    kv.key = key;
    kv.value = std::move(value);
    kv.create_revision = kv.mod_revision = revision;
    CellState::put(kv);
  }
  Cell& app(const std::string& id) { return put("apps/" + id, {{"name", id}}), *this; }
  Cell& host(const std::string& id) {
    put("hosts/" + id, {{"id", id}, {"capacity", {{"memory_bytes", 64LL << 30}, {"cpu_millis", 64000}}}});
    return *this;
  }
  Cell& formation(const std::string& app_id, const std::string& release, json::object processes) {
    put("formations/" + app_id + "/" + release, {{"processes", std::move(processes)}});
    return *this;
  }
  Cell& job(const std::string& id, TimeMs created = kNow, const std::string& kind = "service", int restarts = 0,
            const std::string& host_id = "h1") {
    put("jobs/spec/" + host_id + "/" + id, {{"app_id", "a"},
                                            {"release_id", "r"},
                                            {"type", "web"},
                                            {"kind", kind},
                                            {"restarts", restarts},
                                            {"created_at", at(created)}});
    return *this;
  }
  Cell& status(const std::string& id, const std::string& state, TimeMs up = 0, TimeMs ended = 0,
               const std::string& host_id = "h1") {
    json::object value{{"app_id", "a"}, {"release_id", "r"}, {"type", "web"}, {"state", state}};
    if (up != 0) value["up_at"] = at(up);
    if (ended != 0) value["ended_at"] = at(ended);
    put("jobs/status/" + host_id + "/" + id, value);
    return *this;
  }
};

Plan plan(const CellState& cell, TimeMs now = kNow) { return plan_cell(cell, now, {}); }

std::vector<std::string> stopped(const Plan& plan) {
  std::vector<std::string> ids;
  for (const auto& stop : plan.stops) ids.push_back(stop.job_id);
  return ids;
}

TEST(FormationPlan, StartsWhatIsMissing) {
  Cell cell;
  cell.app("a").host("h1").formation("a", "r", {{"web", 3}, {"worker", 1}}).job("1").status("1", "up");

  const auto made = plan(cell);

  EXPECT_EQ(made.starts.size(), 3u);
  EXPECT_TRUE(made.stops.empty());
  EXPECT_TRUE(made.clears.empty());
}

TEST(FormationPlan, StopsWhatIsNotUpFirstAndThenTheNewest) {
  Cell cell;
  cell.app("a").host("h1").formation("a", "r", {{"web", 1}});
  cell.job("old", kNow - 9000).status("old", "up").job("new", kNow - 1000).status("new", "up");
  cell.job("starting", kNow - 5000).status("starting", "starting").job("planned", kNow - 100);

  EXPECT_EQ(stopped(plan(cell)), (std::vector<std::string>{"planned", "starting", "new"}));
}

TEST(FormationPlan, AJobThatIsAskedToStopCountsNeitherAsRunningNorTwice) {
  Cell cell;
  cell.app("a").host("h1").formation("a", "r", {{"web", 1}}).job("1").status("1", "stopping");
  cell.put("jobs/stop/h1/1", {{"reason", "scaled"}});

  const auto made = plan(cell);

  EXPECT_EQ(made.starts.size(), 1u);
  EXPECT_TRUE(made.stops.empty());
}

TEST(FormationPlan, ADeletedFormationOrAppStopsEverything) {
  Cell gone;
  gone.app("a").host("h1").job("1").status("1", "up");
  EXPECT_EQ(stopped(plan(gone)), std::vector<std::string>{"1"});

  Cell app_gone;
  app_gone.app("a").host("h1").formation("a", "r", {{"web", 2}}).job("1").status("1", "up").job("2", kNow, "one_off");
  app_gone.erase("apps/a");
  const auto made = plan(app_gone);
  EXPECT_EQ(stopped(made).size(), 2u);
  EXPECT_TRUE(made.starts.empty());
}

TEST(FormationPlan, AnEndedJobIsReplacedInItsPlaceAtOnceTheFirstTime) {
  Cell cell;
  cell.app("a").host("h1").formation("a", "r", {{"web", 1}}).job("1").status("1", "down", kNow - 900, kNow - 10);

  const auto made = plan(cell);

  ASSERT_EQ(made.starts.size(), 1u);
  EXPECT_EQ(made.starts[0].replaces, "1");
  EXPECT_EQ(made.starts[0].restarts, 1);
  EXPECT_TRUE(made.clears.empty()) << "the spec goes with the replacement";
}

TEST(FormationPlan, TheNextReplacementsWait) {
  Cell cell;
  cell.app("a").host("h1").formation("a", "r", {{"web", 2}});
  cell.job("1", kNow, "service", 3).status("1", "down", kNow - 900, kNow - 10);

  const auto early = plan(cell);
  EXPECT_EQ(early.starts.size(), 1u) << "the healthy place is filled at once";
  EXPECT_TRUE(early.starts[0].replaces.empty());
  EXPECT_EQ(early.next_ms, kNow - 10 + 4000);

  cell.job("2").status("2", "up");
  EXPECT_TRUE(plan(cell, kNow + 3989).starts.empty());
  EXPECT_EQ(plan(cell, kNow + 3990).starts.size(), 1u);
}

TEST(FormationPlan, ScalingDownDropsAWaitingReplacement) {
  Cell cell;
  cell.app("a").host("h1").formation("a", "r", {{"web", 0}}).job("1", kNow, "service", 5).status("1", "down", 0, kNow);

  const auto made = plan(cell);

  EXPECT_TRUE(made.starts.empty());
  ASSERT_EQ(made.clears.size(), 1u);
}

TEST(RestartBackoff, DoublesToAMinuteAndForgivesAStableJob) {
  JobState job;
  job.ended_ms = kNow;
  std::vector<TimeMs> delays;
  for (job.restarts = 0; job.restarts < 10; ++job.restarts) delays.push_back(restart_after(job).not_before - kNow);
  EXPECT_EQ(delays, (std::vector<TimeMs>{0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000}));

  job.up_ms = kNow - 60'000;
  EXPECT_EQ(restart_after(job).not_before, kNow);
  EXPECT_EQ(restart_after(job).restarts, 1);
}

TEST(FormationPlan, ClearsFinishedOneOffsAndStoppedJobs) {
  Cell cell;
  cell.app("a").host("h1").job("1", kNow, "one_off").status("1", "down", 0, kNow);
  cell.job("2").status("2", "down", 0, kNow).put("jobs/stop/h1/2", {{"reason", "x"}});
  cell.put("jobs/stop/h1/3", {{"reason", "came too late"}});

  const auto made = plan(cell);

  ASSERT_EQ(made.clears.size(), 3u);
  EXPECT_FALSE(made.clears[0].had_stop);
  EXPECT_TRUE(made.clears[1].had_stop);
}

TEST(FormationPlan, KeepsTheNewestFiftyStatusesOfEachType) {
  Cell cell;
  cell.app("a").host("h1");
  for (int i = 0; i < 60; ++i) cell.status("j" + std::to_string(100 + i), "down", 0, kNow + i);

  const auto made = plan(cell);

  ASSERT_EQ(made.status_prunes.size(), 10u);
  for (const auto& prune : made.status_prunes) EXPECT_LT(prune.job_id, "j110");
}

TEST(FormationPlan, JobsOfALostHostAreReplacedAfterTheGraceIfAnotherIsUp) {
  Cell cell;
  cell.app("a").formation("a", "r", {{"web", 1}}).job("1").status("1", "up");
  cell.note_absent_hosts(kNow);

  EXPECT_TRUE(plan(cell, kNow + 100'000).clears.empty()) << "there is no other host: the job waits for its own";
  cell.host("h2");
  const auto before = plan(cell, kNow + 29'999);
  EXPECT_TRUE(before.clears.empty());
  EXPECT_EQ(before.next_ms, kNow + 30'000);
  const auto after = plan(cell, kNow + 30'000);
  ASSERT_EQ(after.clears.size(), 1u);
  EXPECT_TRUE(after.clears[0].lost);
  EXPECT_EQ(after.starts.size(), 1u);
}

TEST(FormationPlan, AHostThatComesBackKeepsItsJobs) {
  Cell cell;
  cell.app("a").formation("a", "r", {{"web", 1}}).host("h2").job("1").status("1", "up");
  cell.note_absent_hosts(kNow);
  cell.host("h1");

  EXPECT_TRUE(plan(cell, kNow + 60'000).clears.empty());
}

TEST(FormationPlan, PlansAThousandJobsInWellUnderASecond) {
  Cell cell;
  cell.app("a").host("h1").formation("a", "r", {{"web", 2000}});
  for (int i = 0; i < 1000; ++i) cell.job("j" + std::to_string(i)).status("j" + std::to_string(i), "up");

  const auto begin = std::chrono::steady_clock::now();
  const auto made = plan(cell);
  const auto took = std::chrono::steady_clock::now() - begin;

  EXPECT_EQ(made.starts.size(), 1000u);
  EXPECT_LT(took, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace flynn::scheduler
