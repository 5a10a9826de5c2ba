// What a thousand swaps of a plugin leave behind in the host process of a full node:
//   bench_swap_memory [SWAPS [SLOT...]]      defaults: 1000, and every plugin of the node, one after the other
// Each slot is swapped kWarmUps times first: the libraries that only a swap brings, and what is bounded, are there by
// then. Figures are the median (min–max) of kSamples. Exit 1 when resident memory has grown by more than 2 %, or a
// thread or descriptor is more or fewer; 2 when a slot could not be measured.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "footprint.h"
#include "node.h"

namespace flynn::e2e {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUps = 100, kSamples = 9;
constexpr double kGrowthMaxPercent = 2.0;
constexpr std::chrono::milliseconds kQuiet{8'000}, kSettlesWithin{60'000}, kBetweenSamples{500};

void pause(std::chrono::milliseconds span) {
  const auto end = Clock::now() + span;
  (void)eventually(span, [&] { return Clock::now() >= end; });
}

// Watches of the store come back some time after it was swapped; requests keep a connection a little longer.
void settle(pid_t host) {
  auto last = footprint(host);
  auto since = Clock::now();
  (void)eventually(kSettlesWithin, [&] {
    const auto now = footprint(host);
    if (now.fds != last.fds || now.threads != last.threads) {
      last = now;
      since = Clock::now();
    }
    return Clock::now() - since > kQuiet;
  });
}

struct Series {
  long median = 0, min = 0, max = 0;
};

Series series_of(std::vector<long> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

std::string text(const Series& series) {
  return std::to_string(series.median) + " (" + std::to_string(series.min) + "–" + std::to_string(series.max) + ")";
}

struct Figures {
  Series rss_kb, anonymous_kb, threads, fds;
};

Figures measured(pid_t host) {
  std::vector<long> rss, anonymous, threads, fds;
  for (int i = 0; i < kSamples; ++i) {
    if (i > 0) pause(kBetweenSamples);
    const auto seen = footprint(host);
    rss.push_back(seen.rss_kb);
    anonymous.push_back(seen.anonymous_kb);
    threads.push_back(seen.threads);
    fds.push_back(seen.fds);
  }
  return {series_of(rss), series_of(anonymous), series_of(threads), series_of(fds)};
}

bool swap_often(const Node& node, const std::string& slot, int count) {
  for (int i = 0; i < count; ++i) {
    const auto swapped = node.flynn({"plugin", "swap", slot, node.plugin_path(slot), "--probation", "0s"});
    if (swapped.ok()) continue;
    std::fprintf(stderr, "swap %d of %s failed: %s%s\n", i + 1, slot.c_str(), swapped.out.c_str(), node.log().c_str());
    return false;
  }
  return true;
}

double growth_percent(const Series& before, const Series& after) {
  return 100.0 * static_cast<double>(after.median - before.median) / static_cast<double>(std::max(before.median, 1L));
}

struct Change {
  Figures before, after;
};

// Nothing when a swap failed or the host process is another one.
std::optional<Change> swaps_of(const Node& node, pid_t host, const std::string& slot, int count) {
  Change change;
  if (!swap_often(node, slot, kWarmUps)) return std::nullopt;
  settle(host);
  change.before = measured(host);
  if (!swap_often(node, slot, count)) return std::nullopt;
  settle(host);
  change.after = measured(host);
  if (node.host_pid() == host) return change;
  std::fprintf(stderr, "the host process ended while %s was swapped\n%s", slot.c_str(), node.log().c_str());
  return std::nullopt;
}

bool report(const std::string& slot, int count, const Change& change) {
  const auto& [before, after] = change;
  const double growth = growth_percent(before.rss_kb, after.rss_kb);
  const bool holds = growth <= kGrowthMaxPercent && after.threads.median == before.threads.median &&
                     after.fds.median == before.fds.median && before.rss_kb.median > 0;
  std::printf("%s: %d swaps after %d: resident %s -> %s kB (%+.2f %%), of that anonymous %s -> %s kB\n", slot.c_str(),
              count, kWarmUps, text(before.rss_kb).c_str(), text(after.rss_kb).c_str(), growth,
              text(before.anonymous_kb).c_str(), text(after.anonymous_kb).c_str());
  std::printf("%s: threads %s -> %s, descriptors %s -> %s: %s\n", slot.c_str(), text(before.threads).c_str(),
              text(after.threads).c_str(), text(before.fds).c_str(), text(after.fds).c_str(),
              holds ? "holds" : "GROWS");
  std::fflush(stdout);
  return holds;
}

// An app, its log and two databases run: a host, a scheduler or an appliance without any has nothing to hand on.
bool give_work(const Node& node) {
  const auto pushed = node.push_sample("node-hello", "work");
  if (!pushed.ok()) {
    std::fprintf(stderr, "push: %s%s\n", pushed.out.c_str(), node.log().c_str());
    return false;
  }
  for (const char* provider : {"postgres", "redis"}) {
    const auto added = node.flynn({"-a", "work", "resource", "add", provider}, {.timeout = 240s});
    if (added.ok()) continue;
    std::fprintf(stderr, "add %s: %s%s\n", provider, added.out.c_str(), node.log().c_str());
    return false;
  }
  return true;
}

int measure(int count, const std::vector<std::string>& slots) {
  Node node;
  if (!node.start() || !node.introduce() || !give_work(node)) {
    std::fprintf(stderr, "the node did not start\n%s", node.log().c_str());
    return 2;
  }
  const pid_t host = node.host_pid();
  bool all_hold = true;
  std::optional<Figures> first;
  Figures last;
  for (const auto& slot : slots) {
    const auto change = swaps_of(node, host, slot, count);
    if (!change) return 2;
    if (!report(slot, count, *change)) all_hold = false;
    if (!first) first = change->before;
    last = change->after;
  }
  std::printf("all, with the warm-ups between: resident %ld -> %ld kB (%+.2f %%)\n", first->rss_kb.median,
              last.rss_kb.median, growth_percent(first->rss_kb, last.rss_kb));
  return all_hold ? 0 : 1;
}

}  // namespace
}  // namespace flynn::e2e

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1'000;
  std::vector<std::string> slots(argv + std::min(argc, 2), argv + argc);
  if (slots.empty())
    slots = {"router", "store",   "scheduler", "controller", "discovery", "logs",
             "host",   "builder", "images",    "postgres",   "blobstore", "redis"};
  if (count < 1) {
    std::fprintf(stderr, "usage: bench_swap_memory [SWAPS [SLOT...]]\n");
    return 2;
  }
  return flynn::e2e::measure(count, slots);
}
