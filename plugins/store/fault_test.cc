// A disk that fails at any point: nothing half-committed, nothing acknowledged that is not durable, recovery by itself.
#include <future>
#include <thread>

#include "faulty_vfs.h"
#include "store_world.h"

namespace flynn::store {
namespace {

json::object pair_of(std::int64_t number) {
  return txn_of({put_op("left/" + std::to_string(number), number), put_op("right/" + std::to_string(number), number)});
}

std::int64_t count(StoreWorld& world, std::string_view prefix) {
  auto reply = world.call("Range", {{"prefix", prefix}, {"count_only", true}});
  return reply ? int_or(reply->body, "count") : -1;
}
bool present(StoreWorld& world, const std::string& key) {
  auto reply = world.call("Get", {{"key", key}});
  return reply && find_object(reply->body, "kv") != nullptr;
}

class StoreFaults : public testing::TestWithParam<FaultyVfs::Fault> {
 protected:
  StoreFaults() { world_.options.journal.vfs = FaultyVfs::kName; }

  FaultyVfs vfs_;  // outlives the store
  StoreWorld world_;
};

TEST_P(StoreFaults, LeaveNothingHalfCommittedWhicheverWriteFails) {
  world_.open();
  ASSERT_TRUE(world_.call("Txn", pair_of(0)));
  vfs_.heal();
  ASSERT_TRUE(world_.call("Txn", pair_of(1)));
  const long operations = vfs_.operations();
  ASSERT_GE(operations, 2);

  std::vector<std::int64_t> acknowledged{0, 1}, refused;
  std::int64_t number = 2;
  for (long nth = 0; nth <= operations; ++nth) {
    vfs_.fail(GetParam(), nth, 1'000'000);
    auto reply = world_.call("Txn", pair_of(number));
    vfs_.heal();
    if (reply) {
      acknowledged.push_back(number);
    } else {
      refused.push_back(number);
      EXPECT_TRUE(reply.error().code == Code::resource_exhausted || reply.error().code == Code::internal);
      EXPECT_NE(reply.error().message.find("SQLite: "), std::string::npos) << reply.error().message;
      EXPECT_FALSE(present(world_, "left/" + std::to_string(number)));
    }
    ++number;
    ASSERT_TRUE(world_.call("Txn", pair_of(number))) << "does not recover after operation " << nth << " failed";
    acknowledged.push_back(number++);
  }
  EXPECT_FALSE(refused.empty());

  world_.reopen();
  for (const auto each : acknowledged) EXPECT_TRUE(present(world_, "right/" + std::to_string(each))) << each;
  for (const auto each : refused) EXPECT_FALSE(present(world_, "right/" + std::to_string(each))) << each;
  EXPECT_EQ(count(world_, "left/"), count(world_, "right/"));
}

TEST_P(StoreFaults, RecoverByThemselvesAndLetReadsThrough) {
  world_.open();
  ASSERT_TRUE(world_.call("Txn", pair_of(0)));
  vfs_.fail(GetParam(), 0, 1'000'000'000);
  ASSERT_FALSE(world_.call("Txn", pair_of(1)));
  EXPECT_TRUE(present(world_, "left/0"));
  EXPECT_FALSE(world_.store->health());
  EXPECT_TRUE(world_.log.contains("store_write_failed"));

  vfs_.heal();

  const auto deadline = Deadline::after(std::chrono::seconds(10));
  while (!world_.store->health() && !deadline.passed()) std::this_thread::yield();
  EXPECT_TRUE(world_.store->health());
  EXPECT_TRUE(world_.log.contains("store_writes_again"));
  EXPECT_TRUE(world_.call("Txn", pair_of(2)));
}

TEST_P(StoreFaults, EndALeaseAfterTheDiskHasRecovered) {
  world_.open();
  auto lease = world_.call("LeaseGrant", {{"ttl_ms", 1'000}});
  ASSERT_TRUE(lease);
  const auto id = string_or(lease->body, "lease");
  ASSERT_TRUE(world_.call("Txn", txn_of({put_op("leased", 1, id)})));
  auto watch = world_.call("Watch", {{"prefix", "leased"}});
  ASSERT_TRUE(watch);
  vfs_.fail(GetParam(), 0, 1'000'000'000);
  const auto deadline = Deadline::after(std::chrono::seconds(10));
  while (!world_.log.contains("store_write_failed") && !deadline.passed()) std::this_thread::yield();
  EXPECT_EQ(world_.call("LeaseKeepAlive", {{"lease", id}}).ok(), false);
  EXPECT_TRUE(present(world_, "leased"));

  vfs_.heal();

  LineReader reader(std::move(watch->fds.at(0)));
  EXPECT_EQ(next_events(reader).at("events").at(0).at("type"), "delete");
}

INSTANTIATE_TEST_SUITE_P(Disk, StoreFaults, testing::Values(FaultyVfs::Fault::disk_full, FaultyVfs::Fault::io_error),
                         [](const auto& instance) {
                           return instance.param == FaultyVfs::Fault::disk_full ? "DiskFull" : "IoError";
                         });

}  // namespace
}  // namespace flynn::store
