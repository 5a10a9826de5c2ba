// What a node tells is durable already: whatever dies, and whatever the disk refuses, the next start agrees with it.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "running_host.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// A plugin's file where the configuration names it, as an installation replaces it.
class InstalledFile {
 public:
  explicit InstalledFile(const std::string& animal) {
    std::string pattern = "/tmp/flynn-installed.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    replace(animal);
  }
  ~InstalledFile() { fs::remove_all(folder_); }
  InstalledFile(const InstalledFile&) = delete;
  InstalledFile& operator=(const InstalledFile&) = delete;
  void replace(const std::string& animal) const {
    fs::copy_file(zoo_file(animal), path() + ".new");
    fs::rename(path() + ".new", path());
  }
  std::string path() const { return folder_ + "/cage.so"; }

 private:
  std::string folder_;
};

// While it lives, the record of what is in force can't be written.
class UnwritableRecord {
 public:
  explicit UnwritableRecord(const std::string& folder) : in_its_place_(folder + "/data/core/active.json.new") {
    fs::create_directories(in_its_place_ / "full");
  }
  ~UnwritableRecord() { fs::remove_all(in_its_place_); }
  UnwritableRecord(const UnwritableRecord&) = delete;
  UnwritableRecord& operator=(const UnwritableRecord&) = delete;

 private:
  fs::path in_its_place_;
};

std::vector<std::string> staged_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& file : fs::directory_iterator(folder + "/data/core/images/cage"))
    names.push_back(file.path().filename());
  return names;
}

TEST(Record, OfAFileThatWasReplacedInPlaceGoesBackToWhatServedWhenTheHostDiesOnProbation) {
  const InstalledFile file("good");
  const RunningHost host({{"cage", file.path().c_str()}}, "", "probation_interval_ms = 5000\n");
  const pid_t first = host.wait_for_host();
  file.replace("good_2");
  std::thread operator_who_swaps([&] { (void)host.ask("plugin.swap", {{"slot", "cage"}, {"path", file.path()}}); });
  EXPECT_TRUE(RunningHost::wait_until([&] { return host.record().find("\"pending\":{") != std::string::npos; }));

  ::kill(first, SIGKILL);
  operator_who_swaps.join();
  ASSERT_GT(host.wait_for_host(first), 1);

  EXPECT_EQ(string_or(host.call("Version"), "version"), "1.0.0") << "the very version that the note names";
  const auto note = string_or(host.slot("cage"), "note");
  EXPECT_NE(note.find("2.0.0 was undone"), std::string::npos) << note;
}

TEST(Record, OfAFileThatWasReplacedWhileTheNodeWasDownKnowsTheLastGoodVersion) {
  const InstalledFile file("good");
  RunningHost host({{"cage", file.path().c_str()}, {"other", "provides_less"}});
  ASSERT_GT(host.wait_for_host(), 1);
  ASSERT_EQ(host.stop(), 0);
  file.replace("crash_in_start");
  host.start();

  EXPECT_TRUE(RunningHost::wait_until([&] { return host.state("cage") == "up"; })) << host.keeper_words();

  const auto note = string_or(host.slot("cage"), "note");
  EXPECT_NE(note.find("1.0.0, the last good version, is back"), std::string::npos) << note;
  EXPECT_TRUE(RunningHost::wait_until([&] { return host.state("other") == "up"; }));
}

TEST(Record, OfASwapIsThereBeforeItsOldVersionHasEnded) {
  const RunningHost host({{"cage", "hang_in_drain"}});
  const pid_t first = host.wait_for_host();
  std::thread operator_who_swaps([&] {
    (void)host.ask("plugin.swap", {{"slot", "cage"}, {"path", zoo_file("good_2")}});
  });
  const auto phase = [&] {
    const auto slot = host.slot("cage");
    const auto* change = find_object(slot, "change");
    return change == nullptr ? std::string() : string_or(*change, "phase");
  };
  EXPECT_TRUE(RunningHost::wait_until([&] { return phase() == "drain"; }));

  ::kill(first, SIGKILL);
  operator_who_swaps.join();
  ASSERT_GT(host.wait_for_host(first), 1);

  EXPECT_EQ(string_or(host.call("Version"), "version"), "2.0.0") << "who watched was told that it is in force";
  EXPECT_EQ(string_or(host.slot("cage"), "note"), "");
  EXPECT_EQ(string_or(*find_object(host.entry("in_force"), "to"), "version"), "2.0.0");
}

TEST(Record, ThatCanNotBeWrittenRollsTheSwapBack) {
  ZooNode zoo("good");
  std::optional<UnwritableRecord> full;

  const auto swapped =
      zoo.node().swap("cage", zoo_file("good_2"), SwapOptions{}, [&](const std::string& phase, double) {
        if (phase == "probation") full.emplace(zoo.folder());
      });

  ASSERT_FALSE(swapped.ok());
  EXPECT_EQ(swapped.error().message.find("rolled back: record it: "), 0u) << swapped.error().message;
  EXPECT_EQ(zoo.version(), "1.0.0");
  EXPECT_EQ(string_or(zoo.last_in_history(), "outcome").find("rolled back: "), 0u) << zoo.last_in_history();
  EXPECT_EQ(staged_files(zoo.folder()).size(), 1u) << "the refused version's copy is gone";
  full.reset();
  zoo.reboot();
  EXPECT_EQ(zoo.version(), "1.0.0");
  EXPECT_TRUE(zoo.swap("good_2").ok());
}

TEST(Record, ThatCanNotBeWrittenKeepsTheFormerConfiguration) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.node().configure("cage", R"({"size":5})").ok());
  {
    const UnwritableRecord full(zoo.folder());

    const auto told = zoo.node().configure("cage", R"({"size":7})");

    ASSERT_FALSE(told.ok());
    EXPECT_NE(told.error().message.find("record"), std::string::npos) << told.error().message;
    EXPECT_NE(zoo.node().effective_config("cage")->find("5"), std::string::npos);
  }
  zoo.reboot();
  EXPECT_NE(zoo.node().effective_config("cage")->find("5"), std::string::npos);
}

TEST(Record, ThatCanNotBeWrittenKeepsNoPluginFromStarting) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.swap("good_2").ok());
  const UnwritableRecord full(zoo.folder());

  zoo.reboot();

  EXPECT_EQ(zoo.version(), "2.0.0");
  EXPECT_FALSE(zoo.swap("good").ok()) << "but a swap would not last";
  EXPECT_EQ(zoo.version(), "2.0.0");
}

TEST(Record, OfADataFolderWithoutRoomForACopyStartsThePluginFromRunDir) {
  ZooNode zoo("good");
  const auto images = fs::path(zoo.folder()) / "data/core/images/cage";
  fs::remove_all(images);
  std::ofstream(images) << "no folder can be made here";

  zoo.reboot();

  EXPECT_EQ(zoo.version(), "1.0.0");
  const auto refused = zoo.swap("good_2");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(zoo.version(), "1.0.0");
  fs::remove(images);
  EXPECT_TRUE(zoo.swap("good_2").ok());
  EXPECT_EQ(zoo.version(), "2.0.0");
}

TEST(Record, NamesOnProbationTheVersionThatServesWithItsOwnDigest) {
  ZooNode zoo("good");
  std::string version, digest;

  const auto swapped =
      zoo.node().swap("cage", zoo_file("good_2"), SwapOptions{}, [&](const std::string& phase, double) {
        if (phase != "probation") return;
        const auto listed = zoo.node().list();
        const auto& slot = listed.at("plugins").as_array().front().as_object();
        version = string_or(slot, "version");
        digest = string_or(slot, "digest");
      });

  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  EXPECT_EQ(version, "2.0.0");
  EXPECT_EQ(digest, *digest_of_file(zoo_file("good_2")));
}

TEST(SlotChange, OfAnOperatorWhoLeftWhileAStartRunsIsNotBegun) {
  Slot slot("cage");
  ChangeBoard board;
  SwapOptions options;
  options.wanted = [] { return false; };
  const std::lock_guard start_that_runs(slot.lifecycle());

  const auto change = SlotChange::begin(board, slot, "swap", options);

  ASSERT_FALSE(change.ok());
  EXPECT_EQ(change.error().code, Code::cancelled);
  EXPECT_FALSE(board.running("cage"));
}

}  // namespace
}  // namespace flynn::core
