// The swap under callers: no call lost, every image unmapped, nothing grows; and what is remembered of it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "zoo_node.h"

namespace flynn::core {
namespace {

constexpr int kCallers = 4, kSwaps = 200;

int count_entries(const char* folder) {
  return static_cast<int>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

int images_mapped(const std::string& folder) {
  std::ifstream maps("/proc/self/maps");
  std::map<std::string, int> files;
  for (std::string line; std::getline(maps, line);)
    if (const auto at = line.find(folder); at != std::string::npos) ++files[line.substr(at)];
  return static_cast<int>(files.size());
}

// Ask for the version without pause, on four threads; joined at the latest when this ends.
class Callers {
 public:
  explicit Callers(ZooNode& zoo) {
    for (int i = 0; i < kCallers; ++i)
      threads_.emplace_back([&] {
        while (!ending_) {
          const auto version = zoo.version();
          ++calls;
          if (version != "1.0.0" && version != "2.0.0") ++wrong;
        }
      });
  }
  ~Callers() { end(); }
  void end() {
    ending_ = true;
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  std::atomic<std::uint64_t> calls{0}, wrong{0};

 private:
  std::atomic<bool> ending_{false};
  std::vector<std::thread> threads_;
};

void swap_under_callers(const char* one, const char* two) {
  // Nothing here hangs, and the callers leave little of the machine for the swaps.
  ZooNode zoo({{"cage", one}}, [](NodeConfig& config) {
    auto& core = config.core;
    core.lifecycle = core.quiesce = core.stop = core.healthy = std::chrono::seconds(30);
  });
  ASSERT_TRUE(zoo.swap(two).ok());
  const int threads = count_entries("/proc/self/task"), fds = count_entries("/proc/self/fd");
  Callers callers(zoo);
  for (int i = 0; i < kSwaps; ++i) {
    const auto swapped = zoo.swap(i % 2 == 0 ? one : two);
    ASSERT_TRUE(swapped.ok()) << swapped.error().message;
    ASSERT_TRUE(swapped->report.unmapped) << swapped->report.left_mapped_because;
  }
  callers.end();

  EXPECT_EQ(callers.wrong, 0u);
  EXPECT_GT(callers.calls, 100u);
  EXPECT_EQ(images_mapped(zoo.folder()), 1);
  EXPECT_EQ(count_entries("/proc/self/task"), threads);
  EXPECT_EQ(count_entries("/proc/self/fd"), fds);
}

TEST(Swap, OverlappingLosesNoCallAndLeavesNothing) { swap_under_callers("good", "good_2"); }

TEST(Swap, ExclusiveLosesNoCallAndLeavesNothing) { swap_under_callers("exclusive", "exclusive_2"); }

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(::getpagesize());
}

TEST(Swap, GivesBackWhatLiesFreeAmongWhatLives) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's allocator keeps freed memory";
#endif
  constexpr std::size_t kBlocks = 32'768, kBlockBytes = 1'024, kBetweenThoseThatLive = 64;
  ZooNode zoo("good");
  std::vector<std::unique_ptr<char[]>> blocks(kBlocks);
  for (auto& block : blocks) {
    block.reset(new char[kBlockBytes]);
    std::fill_n(block.get(), kBlockBytes, 'x');
  }
  for (std::size_t i = 0; i < kBlocks; ++i)
    if (i % kBetweenThoseThatLive != 0) blocks[i].reset();
  const auto before = resident_bytes();

  ASSERT_TRUE(zoo.swap("good_2").ok());

  EXPECT_LT(resident_bytes() + kBlocks * kBlockBytes / 2, before);
}

TEST(Swap, WaitsForACallThatIsInside) {
  ZooNode zoo("exclusive");
  std::thread sleeper([&] { EXPECT_TRUE(zoo.call("Sleep").ok()); });
  while (count_entries(zoo.folder().c_str()) == 0) std::this_thread::yield();

  const auto swapped = zoo.swap("exclusive_2");
  sleeper.join();

  ASSERT_TRUE(swapped.ok()) << swapped.error().message;
  EXPECT_TRUE(swapped->report.unmapped);
}

TEST(Swap, OneAtATimeForASlot) {
  ZooNode zoo("hang_in_drain");
  std::atomic<bool> begun{false};
  std::thread first([&] {
    (void)zoo.node().swap("cage", zoo_file("good_2"), std::chrono::milliseconds(0),
                          [&](const std::string& phase, double) { begun = begun || phase == "drain"; });
  });
  while (!begun) std::this_thread::yield();

  EXPECT_EQ(zoo.swap("good").error().code, Code::conflict);
  first.join();
}

TEST(Swap, IsRememberedAcrossARestart) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.swap("good_2").ok());

  zoo.reboot();

  EXPECT_EQ(zoo.version(), "2.0.0");
}

TEST(Swap, IsRolledBackOnRequestAlsoAfterARestart) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.swap("good_2").ok());
  zoo.reboot();

  const auto back = zoo.node().roll_back("cage", {});

  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(zoo.version(), "1.0.0");
}

TEST(Swap, ThatWasNeverMadeCanNotBeRolledBack) {
  ZooNode zoo("good");

  EXPECT_EQ(zoo.node().roll_back("cage", {}).error().code, Code::failed_precondition);
  EXPECT_EQ(zoo.swap("good", "nowhere").error().code, Code::not_found);
}

TEST(Swap, NotCommittedIsUndoneAtTheNextBoot) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.swap("good_2").ok());
  // As a host leaves it that dies between the flip and the commit.
  const std::string file = zoo.folder() + "/data/core/active.json";
  auto record = ActiveRecord::load(file);
  record->slot("cage").pending = RecordedVersion{"/gone.so", "3.0.0", "x"};
  ASSERT_TRUE(record->save().ok());

  zoo.reboot();

  EXPECT_EQ(zoo.version(), "2.0.0");
  const auto entries = zoo.node().history().last("cage", 10);
  EXPECT_NE(json::serialize(entries).find("was undone"), std::string::npos) << entries;
}

TEST(Swap, IsInTheHistoryWithItsOutcome) {
  ZooNode zoo("good");
  ASSERT_TRUE(zoo.swap("good_2").ok());
  ASSERT_FALSE(zoo.swap("start_fails").ok());

  const auto text = json::serialize(zoo.node().history().last("cage", 10));

  EXPECT_NE(text.find("committed"), std::string::npos) << text;
  EXPECT_NE(text.find("the engine does not turn"), std::string::npos) << text;
}

TEST(Configure, IsJudgedBySchemaAndApplied) {
  ZooNode zoo("good");

  EXPECT_TRUE(zoo.node().configure("cage", R"({"size":5})").ok());
  EXPECT_NE(zoo.node().configure("cage", R"({"size":"big"})").error().message.find("size"), std::string::npos);
  EXPECT_FALSE(zoo.node().configure("cage", R"({"colour":1})").ok());
}

}  // namespace
}  // namespace flynn::core
