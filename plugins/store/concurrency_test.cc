// Many callers at once: every increment counts once, every read is of one moment.
#include <atomic>
#include <thread>

#include "store_world.h"

namespace flynn::store {
namespace {

constexpr int kThreads = 16, kIncrements = 50;

void increment(StoreWorld& world) {
  for (bool done = false; !done;) {
    auto read = world.call("Get", {{"key", "counter"}});
    ASSERT_TRUE(read);
    const auto& kv = read->body.at("kv").as_object();
    auto written = world.call(
        "Txn", {{"compare", json::array{json::object{
                                {"key", "counter"}, {"target", "mod"}, {"op", "="}, {"value", kv.at("mod_revision")}}}},
                {"then", json::array{put_op("counter", kv.at("value").as_int64() + 1),
                                     put_op("mirror", kv.at("value").as_int64() + 1)}}});
    ASSERT_TRUE(written) << written.error().message;
    done = bool_or(written->body, "succeeded");
  }
}

TEST(StoreConcurrency, CountsEveryIncrementOnceAndReadsOneMoment) {
  StoreWorld world;
  world.open();
  ASSERT_TRUE(world.call("Txn", txn_of({put_op("counter", 0), put_op("mirror", 0)})));
  std::atomic<bool> reading{true};
  std::thread reader([&] {
    std::int64_t last = 0;
    while (reading) {
      auto reply = world.call("Range", {{"prefix", ""}});
      ASSERT_TRUE(reply);
      const auto& kvs = reply->body.at("kvs").as_array();
      EXPECT_EQ(kvs.at(0).at("value"), kvs.at(1).at("value"));
      EXPECT_GE(kvs.at(0).at("value").as_int64(), last);
      last = kvs.at(0).at("value").as_int64();
    }
  });
  std::vector<std::thread> callers;
  for (int i = 0; i < kThreads; ++i)
    callers.emplace_back([&] {
      for (int n = 0; n < kIncrements; ++n) increment(world);
    });
  for (auto& caller : callers) caller.join();
  reading = false;
  reader.join();

  auto read = world.call("Get", {{"key", "counter"}});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->body.at("kv").at("value"), kThreads * kIncrements);
  EXPECT_EQ(int_or(read->body, "revision"), kThreads * kIncrements + 1);
}

TEST(StoreConcurrency, RestoresFromASnapshotTakenWhileItIsWritten) {
  StoreWorld world;
  world.open();
  std::atomic<bool> writing{true};
  std::thread writer([&] {
    for (std::int64_t i = 0; writing; ++i)
      ASSERT_TRUE(world.call(
          "Txn", txn_of({put_op("a/" + std::to_string(i % 100), i), put_op("b/" + std::to_string(i % 100), i)})));
  });
  Result<Reply> snapshot = world.call("Snapshot", {});
  while (snapshot && int_or(snapshot->body, "revision") < 50) snapshot = world.call("Snapshot", {});
  writing = false;
  writer.join();
  ASSERT_TRUE(snapshot) << snapshot.error().message;

  StoreWorld restored;
  restored.options.journal.key_file = world.options.journal.key_file;
  std::filesystem::create_directory(restored.options.journal.folder);
  std::filesystem::copy_file("/proc/self/fd/" + std::to_string(snapshot->fds.at(0).get()),
                             restored.options.journal.database_path());
  restored.open();

  auto rows = [&](const char* prefix) { return restored.call("Range", {{"prefix", prefix}}); };
  auto left = rows("a/"), right = rows("b/");
  ASSERT_TRUE(left && right);
  EXPECT_EQ(int_or(left->body, "revision"), int_or(snapshot->body, "revision"));
  ASSERT_EQ(int_or(left->body, "count"), int_or(right->body, "count"));
  for (std::size_t i = 0; i < left->body.at("kvs").as_array().size(); ++i)
    EXPECT_EQ(left->body.at("kvs").at(i).at("value"), right->body.at("kvs").at(i).at("value"));
}

}  // namespace
}  // namespace flynn::store
