// What clients of every kind see of swaps of the router under load:
//   bench_swaps [SWAPS [SWAP_EVERY_MS]]      defaults: 100 and 2000
// The half of each period that begins with a swap is compared with the other half. One JSON object a line; exit 1 when
// a client has noticed anything.
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "load_backend.h"
#include "mixed_load.h"
#include "router_node.h"

namespace {

using namespace flynn;
using Clock = std::chrono::steady_clock;

void wait_until(Clock::time_point time) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(time - Clock::now()).count();
  if (left > 0) ::poll(nullptr, 0, static_cast<int>(left));
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Swaps {
  std::vector<load::Span> with, without;
  std::vector<double> total_ms;
  std::uint64_t moved = 0, lost = 0;
  int failed = 0;
};

void swap_once(load::RouterNode& node, std::chrono::milliseconds period, Swaps& swaps) {
  const auto begin = Clock::now();
  core::SwapOptions options;
  options.probation = std::chrono::milliseconds(0);
  options.drain = std::chrono::seconds(10);
  const auto swapped = node.swap(options);
  if (swapped) {
    swaps.total_ms.push_back(swapped->report.total_ms);
    swaps.moved += swapped->report.connections.moved;
    swaps.lost += swapped->report.connections.lost;
  } else {
    ++swaps.failed;
    std::fprintf(stderr, "swap: %s\n", swapped.error().message.c_str());
  }
  const auto half = std::max(Clock::now(), begin + period / 2), end = half + period / 2;
  swaps.with.emplace_back(begin, half);
  swaps.without.emplace_back(half, end);
  wait_until(end);
}

void print(const load::LoadResult& seen, const Swaps& swaps, int count) {
  json::object answered;
  for (std::size_t kind = 0; kind < load::kKinds; ++kind) answered[load::kKindNames[kind]] = seen.answered[kind];
  const auto at = [&](const std::vector<load::Span>& spans) {
    json::object out;
    for (const auto& [name, q] : {std::pair{"p50_ms", 0.5}, {"p99_ms", 0.99}, {"max_ms", 1.0}})
      out[name] = load::quantile_ms(seen.samples, spans, q);
    return out;
  };
  const auto with = at(swaps.with), without = at(swaps.without);
  json::object line{{"swaps", count},
                    {"swaps_failed", swaps.failed},
                    {"requests", std::move(answered)},
                    {"failed", seen.failed},
                    {"websockets_lost", seen.tunnels_lost},
                    {"tcp_tunnels_lost", seen.tcp_tunnels_lost},
                    {"kept_connections_opened", seen.connections},
                    {"connections_moved", swaps.moved},
                    {"connections_lost", swaps.lost},
                    {"swap_ms_median", median(swaps.total_ms)},
                    {"in_the_swaps_half", with},
                    {"in_the_other_half", without}};
  line["p99_ms_more"] = with.at("p99_ms").as_double() - without.at("p99_ms").as_double();
  std::puts(to_text(line).c_str());
  if (!seen.first_failure.empty()) std::fprintf(stderr, "first failure: %s\n", seen.first_failure.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100;
  const std::chrono::milliseconds period(argc > 2 ? std::atoi(argv[2]) : 2000);
  load::LoadBackend backend;
  load::RouterNode node(backend.port());
  if (const auto failure = node.start(); !failure.empty()) {
    std::fprintf(stderr, "bench_swaps: %s\n", failure.c_str());
    return 2;
  }
  Swaps swaps;
  load::LoadResult seen;
  {
    load::MixedLoad load(node.port(), load::RouterNode::kHost, {}, node.tcp_port());
    wait_until(Clock::now() + period);  // warm
    for (int i = 0; i < count; ++i) swap_once(node, period, swaps);
    seen = load.stop();
  }
  print(seen, swaps, count);
  return seen.failed == 0 && seen.tunnels_lost + seen.tcp_tunnels_lost == 0 && swaps.failed == 0 && swaps.lost == 0 ? 0
                                                                                                                    : 1;
}
