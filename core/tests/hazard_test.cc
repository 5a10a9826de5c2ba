#include "hazard.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>

namespace flynn::core {
namespace {

struct Thing : Guarded {
  std::atomic<int> alive{1};
};

class HazardTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    prepare_hazards();
    if (!GetParam()) hazards_use_membarrier = false;
  }
  void TearDown() override { prepare_hazards(); }
};

TEST_P(HazardTest, NeverLetsGoOfWhatIsGuarded) {
  std::atomic<Thing*> place{new Thing};
  std::atomic<bool> ending{false};
  std::atomic<int> dead{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!ending) {
        const HazardGuard<Thing> guard(place);
        for (int look = 0; look < 20; ++look) dead += guard.get()->alive.load() == 1 ? 0 : 1;
      }
    });
  for (int swap = 0; swap < 2000; ++swap) {
    auto* old = place.exchange(new Thing);
    ASSERT_TRUE(wait_until_unguarded(*old, Deadline::after(std::chrono::seconds(10))).empty());
    old->alive = 0;
    delete old;
  }
  ending = true;
  for (auto& reader : readers) reader.join();

  EXPECT_EQ(dead, 0);
  delete place.load();
}

TEST_P(HazardTest, NamesTheThreadThatHoldsOn) {
  Thing thing;
  std::atomic<Thing*> place{&thing};
  const HazardGuard<Thing> guard(place);
  place = nullptr;
  std::vector<std::string> names;

  std::thread([&] { names = wait_until_unguarded(thing, Deadline::after(std::chrono::milliseconds(5))); }).join();

  ASSERT_EQ(names.size(), 1u);
  EXPECT_NE(names[0].find("core_tests"), std::string::npos) << names[0];
}

void nest(std::atomic<Thing*>& place, int depth, const std::function<void()>& inside) {
  const HazardGuard<Thing> guard(place);
  ASSERT_NE(guard.get(), nullptr);
  if (depth > 1) return nest(place, depth - 1, inside);
  inside();
}

TEST_P(HazardTest, CountsCallsThatNestTooDeeply) {
  Thing thing;
  std::atomic<Thing*> place{&thing};

  nest(place, 3 * kHazardDepth, [&] { EXPECT_EQ(thing.deep_callers, 2 * kHazardDepth); });

  EXPECT_EQ(thing.deep_callers, 0);
  place = nullptr;
  EXPECT_TRUE(wait_until_unguarded(thing, Deadline::after(std::chrono::milliseconds(5))).empty());
}

INSTANTIATE_TEST_SUITE_P(Fences, HazardTest, testing::Bool(),
                         [](const auto& fence) { return fence.param ? "Membarrier" : "FullFence"; });

}  // namespace
}  // namespace flynn::core
