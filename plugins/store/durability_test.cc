// What survives kill -9, restarts and swaps.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "flynn/sdk/unique_fd.h"
#include "store_world.h"

namespace flynn::store {
namespace {

std::int64_t put(StoreWorld& world, const std::string& key, json::value value) {
  auto reply = world.call("Txn", txn_of({put_op(key, std::move(value))}));
  return reply ? int_or(reply->body, "revision") : -1;
}

// The child: writes with four threads and tells every acknowledged number through the pipe, until it is killed.
[[noreturn]] void write_until_killed(const StoreOptions& options, int pipe) {
  CollectingLog log;
  auto store = Store::open(options, log);
  if (!store) ::_exit(1);
  (*store)->activate();
  std::vector<std::thread> writers;
  for (std::int64_t thread = 0; thread < 4; ++thread)
    writers.emplace_back([&, thread] {
      for (std::int64_t i = thread; i < 1'000'000; i += 4) {
        auto done =
            (*store)->call("Txn", txn_of({put_op("n/" + std::to_string(i), i), put_op("twin/" + std::to_string(i), i)}),
                           Deadline::after(std::chrono::seconds(20)));
        if (!done || ::write(pipe, &i, sizeof i) != sizeof i) ::_exit(2);
      }
    });
  for (auto& writer : writers) writer.join();
  ::_exit(0);
}

TEST(StoreDurability, KeepsEveryAcknowledgedWriteThroughKill9) {
  StoreWorld world;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd from_child(ends[0]), to_parent(ends[1]);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) write_until_killed(world.options, to_parent.get());
  to_parent.reset();

  std::vector<std::int64_t> acknowledged;
  std::int64_t number = 0;
  while (acknowledged.size() < 1'000 && ::read(from_child.get(), &number, sizeof number) == sizeof number)
    acknowledged.push_back(number);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  while (::read(from_child.get(), &number, sizeof number) == sizeof number) acknowledged.push_back(number);

  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_GE(acknowledged.size(), 1'000u);
  world.open();
  for (const auto each : acknowledged) {
    auto found = world.call("Get", {{"key", "n/" + std::to_string(each)}});
    ASSERT_TRUE(found && find_object(found->body, "kv")) << "lost write " << each;
  }
  // Nothing is half there: both keys of a transaction or neither.
  auto ones = world.call("Range", {{"prefix", "n/"}, {"count_only", true}});
  auto twins = world.call("Range", {{"prefix", "twin/"}, {"count_only", true}});
  ASSERT_TRUE(ones && twins);
  EXPECT_EQ(int_or(ones->body, "count"), int_or(twins->body, "count"));
}

TEST(StoreDurability, StartsAsItEnded) {
  StoreWorld world;
  world.open();
  put(world, "a", {{"deep", json::array{1, "two", nullptr, 2.5}}});
  put(world, "a", 2);
  put(world, "b", "x");
  ASSERT_TRUE(world.call("Txn", txn_of({delete_op("b")})));
  auto before = world.call("Range", {{"prefix", ""}});

  world.reopen();

  auto after = world.call("Range", {{"prefix", ""}});
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->body, after->body);
}

TEST(StoreDurability, KeepsNoValueReadableOnDisk) {
  StoreWorld world;
  world.open();
  put(world, "secret", "correct-horse-battery-staple");
  world.close();

  for (const auto& file : std::filesystem::recursive_directory_iterator(world.folder.path())) {
    if (!file.is_regular_file()) continue;
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(stream)), {});
    EXPECT_EQ(content.find("correct-horse"), std::string::npos) << file.path();
    EXPECT_EQ(static_cast<int>(file.status().permissions() & std::filesystem::perms(077)), 0) << file.path();
  }
}

TEST(StoreDurability, RefusesAnotherKeyAndAnAbsentOne) {
  StoreWorld world;
  world.open();
  put(world, "a", 1);
  world.close();

  std::filesystem::remove(world.options.journal.key_file);
  auto absent = Store::open(world.options, world.log);
  auto other_options = world.options;
  other_options.journal.key_file = world.folder.path() + "/other.key";
  ASSERT_TRUE(load_key(other_options.journal.key_file, true));
  auto other = Store::open(other_options, world.log);

  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::failed_precondition);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::failed_precondition);
}

TEST(StoreDurability, GivesLeasesTheirTtlAgainAtStart) {
  StoreWorld world;
  world.open();
  auto lease = world.call("LeaseGrant", {{"ttl_ms", 1'000}});
  ASSERT_TRUE(lease);
  const auto id = string_or(lease->body, "lease");
  ASSERT_TRUE(world.call("Txn", txn_of({put_op("leased", 1, id)})));

  world.reopen();
  const auto started = std::chrono::steady_clock::now();
  auto watch = world.call("Watch", {{"prefix", "leased"}});
  ASSERT_TRUE(watch);
  LineReader reader(std::move(watch->fds.at(0)));
  const auto line = next_events(reader);

  EXPECT_EQ(line.at("events").at(0).at("type"), "delete");
  EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::milliseconds(900));
}

TEST(StoreDurability, LetsASuccessorTakeOverAndTakesBack) {
  StoreWorld world;
  world.open();
  put(world, "a", 1);
  ASSERT_TRUE(world.store->quiesce());

  auto successor = Store::open(world.options, world.log);
  ASSERT_TRUE(successor) << successor.error().message;
  auto refused = world.call("Txn", txn_of({put_op("a", 2)}));
  successor->reset();
  const auto resumed = world.store->resume();

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  ASSERT_TRUE(resumed) << resumed.error().message;
  EXPECT_EQ(put(world, "a", 3), 2);
}

TEST(StoreDurability, ASuccessorThatReadAheadKnowsWhatWasWrittenSince) {
  StoreWorld world;
  world.open();
  put(world, "kept", 1);
  put(world, "changed", 1);
  put(world, "deleted", 1);
  auto ahead = Store::read_ahead(world.options);
  ASSERT_TRUE(ahead.reader) << "it reads beside the one that writes";
  put(world, "changed", 2);
  put(world, "new", 1);
  ASSERT_TRUE(world.call("Txn", txn_of({delete_op("deleted")})));
  auto lease = world.call("LeaseGrant", {{"ttl_ms", 60'000}});
  ASSERT_TRUE(lease);
  ASSERT_TRUE(world.call("Txn", txn_of({put_op("leased", 1, string_or(lease->body, "lease"))})));
  const auto before = world.call("Range", {{"prefix", ""}});
  ASSERT_TRUE(world.store->quiesce());

  auto successor = Store::open(world.options, world.log, std::move(ahead));

  ASSERT_TRUE(successor) << successor.error().message;
  world.store = std::move(*successor);
  world.store->activate();
  const auto after = world.call("Range", {{"prefix", ""}});
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->body, after->body);
  EXPECT_TRUE(world.call("LeaseRevoke", {{"lease", string_or(lease->body, "lease")}}));
  EXPECT_EQ(put(world, "new", 2), int_or(after->body, "revision") + 2) << "after the end of the lease's key";
}

TEST(StoreDurability, ASuccessorThatReadAheadMissesNoDeletionThatWasCompacted) {
  StoreWorld world;
  world.options.history_revisions = 10;
  world.open();
  put(world, "deleted", 1);
  auto ahead = Store::read_ahead(world.options);
  ASSERT_TRUE(world.call("Txn", txn_of({delete_op("deleted")})));
  for (int i = 0; i < 100; ++i) put(world, "k", i);
  ASSERT_TRUE(world.store->quiesce());

  auto successor = Store::open(world.options, world.log, std::move(ahead));

  ASSERT_TRUE(successor) << successor.error().message;
  auto keys =
      (*successor)->call("Range", {{"prefix", ""}, {"count_only", true}}, Deadline::after(std::chrono::seconds(10)));
  ASSERT_TRUE(keys);
  EXPECT_EQ(int_or(keys->body, "count"), 1);
}

TEST(StoreDurability, ReadingAheadMakesNothing) {
  StoreWorld world;

  const auto ahead = Store::read_ahead(world.options);

  EXPECT_FALSE(ahead.reader);
  EXPECT_TRUE(std::filesystem::is_empty(world.folder.path()));
}

TEST(StoreDurability, EndsWatchesInOrderAtADrainAndTheSuccessorGoesOn) {
  StoreWorld world;
  world.open();
  auto watch = world.call("Watch", {{"prefix", ""}});
  ASSERT_TRUE(watch);
  LineReader reader(std::move(watch->fds.at(0)));
  for (int i = 0; i < 100; ++i) put(world, "k", i);

  ASSERT_TRUE(world.store->quiesce());
  auto successor = Store::open(world.options, world.log);
  ASSERT_TRUE(successor);
  (*successor)->activate();
  world.store->drain(Deadline::after(std::chrono::seconds(5)));
  world.store = std::move(*successor);
  put(world, "k", 100);

  for (std::int64_t revision = 1; revision <= 100; ++revision)
    ASSERT_EQ(int_or(next_events(reader), "revision"), revision);
  EXPECT_TRUE(next_events(reader).empty());
  auto again = world.call("Watch", {{"prefix", ""}, {"revision", 101}});
  ASSERT_TRUE(again);
  LineReader rest(std::move(again->fds.at(0)));
  EXPECT_EQ(int_or(next_events(rest), "revision"), 101);
}

}  // namespace
}  // namespace flynn::store
