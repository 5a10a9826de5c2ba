#include "registry.h"

#include <gtest/gtest.h>

#include "registration.h"

namespace flynn::discovery {
namespace {

KeyValue instance_kv(const std::string& service, const std::string& id, std::int64_t revision) {
  KeyValue kv;
  kv.key = instance_key(service, id);
  kv.value = json::object{{"v", 1}, {"addr", "10.0.0." + std::to_string(revision) + ":80"}, {"proto", "tcp"}};
  kv.create_revision = kv.mod_revision = revision;
  return kv;
}

StoreEvent put(KeyValue kv) { return {EventKind::put, std::move(kv)}; }
StoreEvent erase(const std::string& key) {
  KeyValue kv;
  kv.key = key;
  return {EventKind::erase, kv};
}

// The next line of a stream as "kind service id".
std::string next(LineReader& stream) {
  auto status = stream.next(Deadline::after(std::chrono::seconds(2)));
  if (!status || *status != LineReader::Status::line) return "(none)";
  const auto line = *parse_json_object(stream.text());
  const auto* instance = find_object(line, "instance");
  return string_or(line, "kind") + " " + string_or(line, "service") + " " +
         (instance ? string_or(*instance, "id") : string_or(line, "id", "-"));
}

TEST(Registry, TellsWhatIsThereThenWhatChanges) {
  Registry registry;
  registry.apply({put(instance_kv("web", "b", 7)), put(instance_kv("web", "a", 9))});
  LineReader stream(*registry.watch("web"));

  EXPECT_EQ(next(stream), "up web b");
  EXPECT_EQ(next(stream), "up web a");
  EXPECT_EQ(next(stream), "leader web b");
  EXPECT_EQ(next(stream), "current  -");
  registry.apply({put(instance_kv("other", "x", 10)), erase(instance_key("web", "b"))});
  EXPECT_EQ(next(stream), "down web b");
  EXPECT_EQ(next(stream), "leader web a");
}

TEST(Registry, ObeysALeaderSetByHandWhileItLives) {
  Registry registry;
  KeyValue leader;
  leader.key = leader_key("db");
  leader.value = json::object{{"v", 1}, {"id", "young"}};
  registry.apply({put(instance_kv("db", "old", 1)), put(instance_kv("db", "young", 2)), put(leader)});

  EXPECT_EQ(registry.view("db").leader, "young");
  registry.apply({erase(instance_key("db", "young"))});
  EXPECT_EQ(registry.view("db").leader, "old");
}

TEST(Registry, TellsAfterAGapWhatHasGone) {
  Registry registry;
  registry.apply({put(instance_kv("web", "gone", 1)), put(instance_kv("web", "kept", 2))});
  LineReader stream(*registry.watch("*"));
  for (int i = 0; i < 4; ++i) next(stream);
  RangeResult all;
  all.kvs = {instance_kv("web", "kept", 2), instance_kv("web", "new", 5)};

  registry.replace(all);

  EXPECT_EQ(next(stream), "down web gone");
  EXPECT_EQ(next(stream), "leader web kept");
  EXPECT_EQ(next(stream), "up web new");
}

TEST(Registry, ForgetsWatchersThatHaveGoneThoughNothingChanges) {
  Registry registry;
  for (int i = 0; i < 5; ++i) registry.watch("*").ok();

  const auto stays = registry.watch("*");

  EXPECT_EQ(registry.watchers(), 1u);
}

TEST(Registry, ClosesAWatcherThatHasGone) {
  Registry registry;
  { auto stream = registry.watch("*"); }

  registry.apply({put(instance_kv("web", "a", 1))});

  EXPECT_EQ(registry.watchers(), 0u);
}

TEST(Registry, KnowsNoServiceWithoutInstances) {
  Registry registry;
  registry.apply({put(instance_kv("web", "a", 1)), erase(instance_key("web", "a"))});

  EXPECT_FALSE(registry.view("web").known);
}

TEST(Registration, RefusesNamesAndAddressesThatAreNone) {
  for (const char* name : {"", "-a", "Web", "a/b", "a.b"}) EXPECT_FALSE(check_service(name).ok()) << name;
  for (const char* id : {"", "a/b", "a b"}) EXPECT_FALSE(check_instance_id(id).ok()) << id;
  for (const char* addr : {"", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:70000", "host:80", "[::1:80"})
    EXPECT_FALSE(check_addr(addr).ok()) << addr;
  EXPECT_TRUE(check_addr("10.0.0.1:80").ok());
  EXPECT_TRUE(check_addr("[::1]:80").ok());
}

}  // namespace
}  // namespace flynn::discovery
