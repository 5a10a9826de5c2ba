// Cages that end together: who comes back when. No one tends these nodes: what is not revived stays down.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "ended_cages.h"
#include "running_host.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;

pid_t process_of(ZooNode& zoo, const std::string& slot) {
  const auto facts = zoo.node().inspect(slot);
  const bool up = facts && string_or(*facts, "state") == "up";
  return up ? static_cast<pid_t>(int_or(*facts, "process", -1)) : -1;
}

// Until each of them is up in another process than before.
bool are_back(ZooNode& zoo, const std::map<std::string, pid_t>& before) {
  return RunningHost::wait_until([&] {
    return std::all_of(before.begin(), before.end(), [&](const auto& one) {
      const auto now = process_of(zoo, one.first);
      return now > 0 && now != one.second;
    });
  });
}

std::map<std::string, pid_t> processes_of(ZooNode& zoo, const std::vector<std::string>& slots) {
  std::map<std::string, pid_t> all;
  for (const auto& slot : slots) all[slot] = process_of(zoo, slot);
  return all;
}

TEST(Revive, BringsSeveralCagesBackAtOnce) {
  const std::vector<std::string> slots{"first", "second", "third"};
  std::string folder;
  ZooNode zoo({{"first", "twin"}, {"second", "twin"}, {"third", "twin"}}, [&](NodeConfig& config) {
    in_cages(config);
    config.core.lifecycle = config.core.healthy = 10s;
    folder = config.file.parent_path() / "meeting";
    std::filesystem::create_directory(folder);
    ::chmod(folder.c_str(), 0777);
    for (auto& plugin : config.plugins) {
      plugin.cage.may_write = {folder};
      plugin.config_json =
          json::serialize(json::object{{"folder", folder}, {"siblings", {"first", "second", "third"}}});
    }
  });
  const auto before = processes_of(zoo, slots);
  for (const auto& slot : slots) ASSERT_GT(before.at(slot), 0) << slot << ": " << zoo.reason(slot);
  std::ofstream(folder + "/meet") << "from now on they start together or not at all";

  for (const auto& one : before) ::kill(one.second, SIGKILL);

  EXPECT_TRUE(are_back(zoo, before)) << zoo.reason("first") << zoo.reason("second") << zoo.reason("third");
}

TEST(Revive, BringsBackWhatASlotAsksBeforeThatSlot) {
  ZooNode zoo({{"cage", "good"}, {"asker", "twin_asks"}}, [](NodeConfig& config) {
    in_cages(config);
    config.core.lifecycle = config.core.healthy = 10s;
    config.core.retry_min = config.core.retry_max = 1h;
    config.plugins[1].config_json = R"({"asks":"zoo.animal/1"})";
  });
  for (int i = 0; i < 10; ++i) {
    const auto before = processes_of(zoo, {"cage", "asker"});
    ASSERT_GT(before.at("cage"), 0) << zoo.reason();
    ASSERT_GT(before.at("asker"), 0) << zoo.reason("asker");

    for (const char* slot : {i % 2 == 0 ? "asker" : "cage", i % 2 == 0 ? "cage" : "asker"})
      ::kill(before.at(slot), SIGKILL);

    ASSERT_TRUE(are_back(zoo, before)) << i << ": " << zoo.state() << " " << zoo.reason() << "; " << zoo.state("asker")
                                       << " " << zoo.reason("asker");
  }
}

// c asks b, b asks a; d asks nobody; e and f ask each other.
SlotNeeds needs_of(const std::string& slot) {
  static const std::map<std::string, SlotNeeds> all{
      {"b", {"a"}}, {"c", {"a", "b"}}, {"e", {"f", "e"}}, {"f", {"e", "f"}}};
  const auto found = all.find(slot);
  return found == all.end() ? SlotNeeds{} : found->second;
}

std::string next(const std::vector<std::string>& waiting, const std::multiset<std::string>& busy = {}) {
  const auto place = next_to_revive(waiting, busy, needs_of);
  return place < waiting.size() ? waiting[place] : "none";
}

TEST(Revive, KeepsTheOrderOfWhatIsAsked) {
  EXPECT_EQ(next({}), "none");
  EXPECT_EQ(next({"c", "b", "a"}), "a");
  EXPECT_EQ(next({"c", "b"}, {"a"}), "none") << "they wait for it";
  EXPECT_EQ(next({"c", "d"}, {"a"}), "d") << "and nobody waits for them";
  EXPECT_EQ(next({"c"}), "c") << "what it asks has not ended";
  EXPECT_EQ(next({"a", "d"}, {"a"}), "d") << "one at a time of a slot";
}

TEST(Revive, IsNotHeldUpByACircle) {
  EXPECT_EQ(next({"e", "f"}), "e");
  EXPECT_EQ(next({"f"}, {"e"}), "none");
  EXPECT_EQ(next({"f"}), "f");
}

}  // namespace
}  // namespace flynn::core
