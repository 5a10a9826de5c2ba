// Watches: nothing skipped, nothing twice, through restarts, old history, compaction and slow readers.
#include <map>
#include <random>
#include <thread>

#include "store_world.h"

namespace flynn::store {
namespace {

using Model = std::map<std::string, std::int64_t, std::less<>>;

// Follows a prefix into a model, reopening after its last revision as a client does.
class Follower {
 public:
  explicit Follower(StoreWorld& world) : world_(world) {}

  bool open() {
    auto reply = world_.call("Watch", {{"prefix", "k/"}, {"revision", next_}});
    if (!reply) return false;
    reader_ = std::make_unique<LineReader>(std::move(reply->fds.at(0)));
    return true;
  }
  void read_up_to(std::int64_t revision) {
    while (next_ <= revision) {
      const auto line = next_line(*reader_);
      ASSERT_FALSE(line.empty()) << "the stream ended before revision " << revision;
      const auto at = int_or(line, "revision");
      if (bool_or(line, "progress")) continue;
      ASSERT_EQ(at, next_) << "skipped or repeated";
      for (const auto& event : line.at("events").as_array()) apply(event.as_object(), at);
      next_ = at + 1;
    }
  }
  const Model& model() const { return model_; }

 private:
  void apply(const json::object& event, std::int64_t revision) {
    const auto& kv = event.at("kv").as_object();
    EXPECT_EQ(int_or(kv, "mod_revision"), revision);
    const auto key = string_or(kv, "key");
    if (string_or(event, "type") == "delete") {
      EXPECT_EQ(model_.erase(key), 1u);
    } else {
      model_[key] = int_or(kv, "value");
    }
  }

  StoreWorld& world_;
  std::int64_t next_ = 1;
  std::unique_ptr<LineReader> reader_;
  Model model_;
};

TEST(StoreWatch, NeitherSkipsNorRepeatsOverTenThousandTransactionsWithRestarts) {
  StoreWorld world;
  world.open();
  std::mt19937 random(20260131);
  std::uniform_int_distribution<int> key(0, 199), kind(0, 3);
  Follower steady(world);
  ASSERT_TRUE(steady.open());
  std::int64_t revision = 0;

  for (int i = 1; i <= 10'000; ++i) {
    json::array ops;
    const int first = key(random), operations = 1 + kind(random);
    for (int n = 0; n < operations; ++n) {
      const auto name = "k/" + std::to_string((first + n * 50) % 200);
      ops.push_back(kind(random) == 0 ? delete_op(name) : put_op(name, i));
    }
    auto reply = world.call("Txn", txn_of(std::move(ops)));
    ASSERT_TRUE(reply) << reply.error().message;
    revision = int_or(reply->body, "revision");
    if (i % 1'000 != 0) continue;
    if (i % 2'000 == 0) steady.read_up_to(revision);  // else what is unread is lost with the restart, and read again
    world.reopen();
    ASSERT_TRUE(steady.open());
  }
  steady.read_up_to(revision);

  Follower late(world);  // all of it from the journal
  ASSERT_TRUE(late.open());
  late.read_up_to(revision);
  auto range = world.call("Range", {{"prefix", "k/"}});
  ASSERT_TRUE(range);
  Model present;
  for (const auto& kv : range->body.at("kvs").as_array())
    present[string_or(kv.as_object(), "key")] = kv.at("value").as_int64();
  EXPECT_EQ(steady.model(), present);
  EXPECT_EQ(late.model(), present);
}

RevisionEventsPtr revision_of(Revision revision, std::size_t bytes) {
  auto made = std::make_shared<RevisionEvents>();
  made->revision = revision;
  Entry entry;
  entry.value = std::make_shared<const std::string>(bytes, 'v');
  made->events.push_back({"k", entry});
  return made;
}

TEST(EventHistory, KeepsWhatAWatchStillNeedsAndATailOfTheRest) {
  constexpr std::size_t kTail = 10'000;
  EventHistory history(0, 1'000'000, kTail);
  for (Revision at = 1; at <= 100; ++at) history.append(revision_of(at, 1'000));

  history.served(51);

  EXPECT_EQ(history.find(50), nullptr);
  for (Revision at = 51; at <= 100; ++at) ASSERT_EQ(history.find(at)->revision, at);

  history.served(101);

  EXPECT_LE(history.bytes(), kTail);
  EXPECT_EQ(history.find(92), nullptr);
  EXPECT_EQ(history.find(100)->revision, 100);
  EXPECT_EQ(history.head(), 100);

  history.append(revision_of(101, 50'000));
  history.served(101);

  EXPECT_EQ(history.find(100), nullptr);
  EXPECT_EQ(history.find(101)->revision, 101);

  history.served(102);

  EXPECT_EQ(history.bytes(), 0u);
  EXPECT_EQ(history.find(101), nullptr);
  EXPECT_EQ(history.head(), 101);
}

TEST(StoreWatch, ReadsWhatMemoryHasLetGoFromTheJournal) {
  StoreWorld world;
  world.open();
  const json::string value(8 * 1024, 'v');
  auto steady = world.call("Watch", {{"prefix", ""}});
  ASSERT_TRUE(steady);
  LineReader steady_reader(std::move(steady->fds.at(0)));
  constexpr int kRevisions = 100;
  for (int i = 1; i <= kRevisions; ++i) {
    ASSERT_TRUE(world.call("Txn", txn_of({put_op("k", value)})));
    ASSERT_EQ(int_or(next_events(steady_reader), "revision"), i);
  }

  auto late = world.call("Watch", {{"prefix", ""}, {"revision", 1}});

  ASSERT_TRUE(late);
  LineReader late_reader(std::move(late->fds.at(0)));
  for (int i = 1; i <= kRevisions; ++i) ASSERT_EQ(int_or(next_events(late_reader), "revision"), i);
}

TEST(StoreWatch, KeepsTheHistoryItPromisesAndCompactsTheRest) {
  StoreWorld world;
  world.options.history_revisions = 1'000;
  world.open();
  ASSERT_TRUE(world.call("Txn", txn_of({put_op("kept", "for good")})));
  for (int i = 0; i < 4'000; ++i) ASSERT_TRUE(world.call("Txn", txn_of({put_op("k", i)})));
  world.reopen();

  auto status = world.call("Status", {});
  ASSERT_TRUE(status);
  const auto revision = int_or(status->body, "revision"), compacted = int_or(status->body, "compact_revision");
  EXPECT_GE(compacted, revision - 1'101);
  EXPECT_LE(compacted, revision - 1'000);
  auto early = world.call("Watch", {{"prefix", ""}, {"revision", compacted - 1}});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Code::out_of_range);
  auto watch = world.call("Watch", {{"prefix", ""}, {"revision", compacted}});
  ASSERT_TRUE(watch);
  LineReader reader(std::move(watch->fds.at(0)));
  for (auto at = compacted; at <= revision; ++at) ASSERT_EQ(int_or(next_events(reader), "revision"), at);
  auto kept = world.call("Get", {{"key", "kept"}});
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->body.at("kv").at("value"), "for good");
}

TEST(StoreWatch, CutsOffAReaderThatDoesNotReadAndServesTheOthers) {
  StoreWorld world;
  world.open();
  auto slow = world.call("Watch", {{"prefix", ""}});
  auto quick = world.call("Watch", {{"prefix", ""}});
  ASSERT_TRUE(slow && quick);
  LineReader slow_reader(std::move(slow->fds.at(0))), quick_reader(std::move(quick->fds.at(0)));
  const json::string large(512 * 1024, 'x');
  for (int i = 0; i < 24; ++i) {
    ASSERT_TRUE(world.call("Txn", txn_of({put_op("large", large)})));
    ASSERT_EQ(int_or(next_events(quick_reader), "revision"), i + 1);
  }

  std::int64_t expected = 1;
  auto line = next_events(slow_reader);
  for (; line.contains("events"); line = next_events(slow_reader)) ASSERT_EQ(int_or(line, "revision"), expected++);

  ASSERT_TRUE(stream_error(line));
  EXPECT_EQ(stream_error(line)->code, Code::resource_exhausted);
  EXPECT_TRUE(next_line(slow_reader).empty());
  EXPECT_LT(expected, 25);
}

TEST(StoreWatch, TellsOfProgressWhenNothingHappens) {
  StoreWorld world;
  world.open();
  ASSERT_TRUE(world.call("Txn", txn_of({put_op("elsewhere", 1)})));
  auto watch = world.call("Watch", {{"prefix", "k/"}});
  ASSERT_TRUE(watch);
  LineReader reader(std::move(watch->fds.at(0)));

  const auto line = next_line(reader);

  EXPECT_TRUE(bool_or(line, "progress"));
  EXPECT_EQ(int_or(line, "revision"), 1);
}

TEST(StoreWatch, ForgetsAReaderThatHasLeft) {
  StoreWorld world;
  world.open();
  {
    auto watch = world.call("Watch", {{"prefix", ""}});
    ASSERT_TRUE(watch);
    EXPECT_EQ(int_or(world.call("Status", {})->body, "watchers"), 1);
  }
  const auto deadline = Deadline::after(std::chrono::seconds(10));
  while (int_or(world.call("Status", {})->body, "watchers") != 0 && !deadline.passed()) std::this_thread::yield();
  EXPECT_EQ(int_or(world.call("Status", {})->body, "watchers"), 0);
}

}  // namespace
}  // namespace flynn::store
