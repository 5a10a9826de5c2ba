// The hot swap under load: no request and no call lost, every old image unmapped, nothing grows.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "footprint.h"
#include "http_load.h"
#include "world.h"

namespace flynn::e2e {
namespace {

constexpr int kSwaps = 20;
constexpr int kWarmUps = 5;

class Swap : public WorldTest {
 protected:
  static void swap_once(const std::string& slot) {
    const auto swapped = node().flynn({"plugin", "swap", slot, node().plugin_path(slot)});
    ASSERT_TRUE(swapped.ok()) << swapped.out << node().log();
  }

  // Watches of the store come back some time after it was swapped: measured too early, they would be growth.
  static Footprint settled_footprint(pid_t host) {
    auto last = footprint(host);
    auto since = std::chrono::steady_clock::now();
    (void)eventually(20s, [&] {
      const auto now = footprint(host);
      if (now.fds > last.fds) {
        last = now;
        since = std::chrono::steady_clock::now();
      }
      return std::chrono::steady_clock::now() - since > 3s;
    });
    return last;
  }

  // Some warm-up swaps first: the libraries that only they bring stay for good, as does the heap of so much load.
  static void swap_often(const std::string& slot) {
    const pid_t host = node().host_pid();
    for (int i = 0; i < kWarmUps; ++i) ASSERT_NO_FATAL_FAILURE(swap_once(slot));
    const auto before = settled_footprint(host);
    for (int i = 0; i < kSwaps; ++i) ASSERT_NO_FATAL_FAILURE(swap_once(slot)) << "swap " << i;
    ASSERT_TRUE(eventually(20s, [&] { return images_mapped(host, slot) == 1; }))
        << images_mapped(host, slot) << " images of " << slot;
    EXPECT_EQ(node().host_pid(), host);
    // The rest of the process serves the load meanwhile, so its connections and buffers come and go.
    (void)eventually(20s, [&] { return footprint(host).fds <= before.fds + 20; });
    const auto after = footprint(host);
    EXPECT_LE(after.threads, before.threads + 4) << slot;
    EXPECT_LE(after.fds, before.fds + 20) << slot;
    EXPECT_LT(after.rss_kb, before.rss_kb + 24 * 1024) << slot;
    std::printf("%s: %d swaps; before and after: %ld and %ld kB, %ld and %ld threads, %ld and %ld descriptors\n",
                slot.c_str(), kSwaps, before.rss_kb, after.rss_kb, before.threads, after.threads, before.fds,
                after.fds);
  }

  // Calls `flynn apps` (client -> router -> controller -> store) until told to stop; counts those that fail.
  template <typename During>
  static void expect_no_call_lost(During during) {
    std::atomic<bool> ending{false};
    std::atomic<int> done{0}, failed{0};
    std::string first;
    std::thread caller([&] {
      while (!ending) {
        const auto answer = node().flynn({"apps"}, {.timeout = 30s});
        ++done;
        if (!answer.ok() && failed++ == 0) first = answer.out;
      }
    });
    during();
    ending = true;
    caller.join();
    EXPECT_EQ(failed, 0) << first;
    EXPECT_GT(done, 10);
  }
};

TEST_F(Swap, OfTheRouterUnderLoadFailsNoRequest) {
  given_app("node-hello", "swapped");
  ASSERT_TRUE(node().flynn({"-a", "swapped", "scale", "web=2"}).ok());
  expect_page("swapped", "ello");

  HttpLoad load(node().ports().http, "swapped.flynn.localhost", 32);
  swap_often("router");
  const auto counts = load.stop();

  EXPECT_EQ(counts.failed, 0u) << counts.first_failure;
  RecordProperty("requests_per_second", std::to_string(static_cast<double>(counts.answered) / counts.seconds));
  std::printf("router: %d swaps, %.0f requests/s, %llu answered, %llu connections\n", kSwaps,
              static_cast<double>(counts.answered) / counts.seconds, static_cast<unsigned long long>(counts.answered),
              static_cast<unsigned long long>(counts.connections));
}

TEST_F(Swap, OfTheStoreLosesNoCall) {
  expect_no_call_lost([] { swap_often("store"); });
}

TEST_F(Swap, OfTheControllerLosesNoCall) {
  expect_no_call_lost([] { swap_often("controller"); });
}

TEST_F(Swap, OfTheSchedulerLosesNoScaling) {
  given_app("node-hello", "swapped");
  std::atomic<bool> ending{false};
  std::atomic<int> failed{0};
  std::string first;
  std::thread scaler([&] {
    for (int round = 0; !ending; ++round) {
      const auto scaled = node().flynn({"-a", "swapped", "scale", round % 2 == 0 ? "web=1" : "web=2"});
      if (!scaled.ok() && failed++ == 0) first = scaled.out;
    }
  });

  swap_often("scheduler");
  ending = true;
  scaler.join();

  EXPECT_EQ(failed, 0) << first;
}

TEST_F(Swap, OfEveryOtherPluginKeepsTheNodeHealthy) {
  given_app("node-hello", "swapped");
  for (const char* slot : {"discovery", "blobstore", "logs", "host", "builder", "postgres"}) {
    const pid_t host = node().host_pid();
    ASSERT_NO_FATAL_FAILURE(swap_once(slot)) << slot;
    EXPECT_TRUE(eventually(20s, [&] { return images_mapped(host, slot) == 1; })) << slot;
    EXPECT_TRUE(eventually(20s, [] { return node().healthy(); })) << slot;
  }
  expect_page("swapped", "ello");
}

TEST_F(Swap, CanBeRolledBack) {
  // Another file of the same code: a version is known by its digest.
  const std::string other = node().root() + "/router-again.so";
  std::filesystem::copy_file(node().plugin_path("router"), other);
  std::ofstream(other, std::ios::app) << '\n';
  const auto swapped = node().flynn({"plugin", "swap", "router", other});
  ASSERT_TRUE(swapped.ok()) << swapped.out;

  const auto back = node().flynn({"plugin", "rollback", "router"});

  EXPECT_TRUE(back.ok()) << back.out;
  EXPECT_TRUE(node().healthy());
}

}  // namespace
}  // namespace flynn::e2e
