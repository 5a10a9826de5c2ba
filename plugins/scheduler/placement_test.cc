#include "placement.h"

#include <gtest/gtest.h>

namespace flynn::scheduler {
namespace {

CellState cell_with_hosts(std::initializer_list<std::pair<const char*, std::int64_t>> hosts) {
  CellState cell;
  for (const auto& [id, memory_mib] : hosts) cell.hosts[id] = {id, "", {memory_mib << 20, 4000}, {}, 1};
  return cell;
}

Request request(const std::string& app, std::int64_t memory_mib) {
  return {app, "web", {memory_mib << 20, 100}, {}, {}};
}

constexpr Overcommit kExact{100, 100};

TEST(Placement, SpreadsAnAppAndThenTakesTheLeastLoaded) {
  const auto cell = cell_with_hosts({{"a", 1000}, {"b", 1000}, {"c", 4000}});
  HostLoads loads(cell, kExact);
  std::map<std::string, int> got;

  for (int i = 0; i < 6; ++i) {
    auto host = loads.place(request("app", 100));
    ASSERT_TRUE(host.ok());
    loads.claim(*host, request("app", 100));
    ++got[*host];
  }

  EXPECT_EQ(got, (std::map<std::string, int>{{"a", 2}, {"b", 2}, {"c", 2}}));
  EXPECT_EQ(*loads.place(request("other", 100)), "c") << "the emptiest";
}

TEST(Placement, NeverOverfillsAndSaysWhatIsMissing) {
  const auto cell = cell_with_hosts({{"a", 1000}});
  HostLoads loads(cell, kExact);
  loads.claim("a", request("app", 900));

  const auto full = loads.place(request("app", 101));

  EXPECT_EQ(full.error().code, Code::resource_exhausted);
  EXPECT_NE(full.error().message.find("101 MiB of memory asked for, 100 free"), std::string::npos)
      << full.error().message;
  EXPECT_TRUE(loads.check_fit("a", request("app", 100).claim).ok());
  EXPECT_EQ(loads.check_fit("b", {}).error().code, Code::failed_precondition);
}

TEST(Placement, WantsTheTags) {
  auto cell = cell_with_hosts({{"a", 1000}, {"b", 1000}});
  cell.hosts["b"].tags = {{"disk", "ssd"}};
  const HostLoads loads(cell, kExact);
  auto wish = request("app", 1);

  wish.tags = {{"disk", "ssd"}};
  EXPECT_EQ(*loads.place(wish), "b");
  wish.tags = {{"disk", "hdd"}};
  EXPECT_EQ(loads.place(wish).error().code, Code::resource_exhausted);
}

TEST(Placement, WithoutAHostIsAFailedPrecondition) {
  EXPECT_EQ(HostLoads(CellState(), kExact).place(request("app", 1)).error().code, Code::failed_precondition);
}

TEST(Placement, JobsThatEndedTakeNoRoomAndStoppingOnesDo) {
  auto cell = cell_with_hosts({{"a", 1000}});
  JobState job;
  job.id = "1";
  job.host_id = "a";
  job.has_spec = job.stop_requested = true;
  job.claim = {1000LL << 20, 100};
  cell.jobs["1"] = job;
  EXPECT_FALSE(HostLoads(cell, kExact).place(request("app", 1)).ok());

  cell.jobs["1"].phase = JobPhase::down;
  EXPECT_TRUE(HostLoads(cell, kExact).place(request("app", 1)).ok());
}

}  // namespace
}  // namespace flynn::scheduler
