// What a user and an operator wait for, on a node of its own: median (min–max) of a few rounds each.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>

#include "http_load.h"
#include "node.h"

namespace flynn::e2e {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void report(const char* what, std::vector<double> values, const char* unit = "ms") {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  std::printf("%-44s %10.1f %s  (%.1f–%.1f, n=%zu)\n", what, values[values.size() / 2], unit, values.front(),
              values.back(), values.size());
}

std::vector<double> rounds(int count, const std::function<double(int)>& one) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i)
    if (const double value = one(i); value >= 0) values.push_back(value);
  return values;
}

bool serves(const Node& node, const std::string& app) {
  return node.get(app + ".flynn.localhost", "/", {"-o", "/dev/null", "-w", "%{http_code}"}).out == "200";
}

// From typing the push to the first 200.
double push_to_200(const Node& node, const std::string& app) {
  const auto start = Clock::now();
  const auto pushed = node.push_sample("node-hello", app);
  const bool up = pushed.ok() && eventually(30s, [&] { return serves(node, app); });
  if (!up) std::fprintf(stderr, "%s", pushed.out.c_str());
  return up ? ms_since(start) : -1;
}

// Without the wait of the probation, which is the operator's choice.
double swap_ms(const Node& node, const std::string& slot, const char* member) {
  const auto swapped = node.flynn({"plugin", "swap", slot, node.plugin_path(slot), "--probation", "0s", "--json"});
  auto document = parse_json_object(swapped.out);
  if (!swapped.ok() || !document || document->if_contains(member) == nullptr) return -1;
  return document->at(member).to_number<double>();
}

// From kill -9 of the host process under full load to the first answer to a client who came after it. No connection may
// be refused meanwhile.
double killed_to_200(const Node& node, const std::string& app) {
  constexpr std::chrono::milliseconds kLoaded{500},
      kCalm{12'000};  // the keeper waits before it restarts what dies again and again
  const auto pass = [](std::chrono::milliseconds span) {
    const auto end = Clock::now() + span;
    (void)eventually(span, [&] { return Clock::now() >= end; });
  };
  HttpLoad load(node.ports().http, app + ".flynn.localhost", 8);
  pass(kLoaded);
  const pid_t host = node.host_pid();
  const auto start = Clock::now();
  ::kill(host, SIGKILL);
  const bool back = eventually(30s, [&] { return serves(node, app); });
  const double ms = ms_since(start);
  const auto counts = load.stop();
  if (!back || counts.first_failure == "connect: refused") {
    std::fprintf(stderr, "not served after kill -9, or refused: %s\n%s", counts.first_failure.c_str(),
                 node.log().c_str());
    return -1;
  }
  (void)eventually(30s, [&] { return node.healthy(); });
  pass(kCalm);
  return ms;
}

void report_idle_memory(const Node& node) {
  std::ifstream smaps("/proc/" + std::to_string(node.host_pid()) + "/smaps_rollup");
  for (std::string line; std::getline(smaps, line);)
    if (line.rfind("Pss:", 0) == 0 || line.rfind("Rss:", 0) == 0) std::printf("idle host process %s\n", line.c_str());
}

// Every plugin loaded, created, started and healthy on a machine that has no state of them; the start of the host
// process and the question whether it is up (some 20 ms) are in it.
double cold_start() {
  Node node;
  const auto begin = Clock::now();
  return node.start() ? ms_since(begin) : -1;
}

int measure() {
  report("load, create, start of all plugins, cold", rounds(5, [](int) { return cold_start(); }));
  Node node;
  const auto cold = Clock::now();
  if (!node.start() || !node.introduce()) {
    std::fprintf(stderr, "the node did not start\n%s", node.log().c_str());
    return 1;
  }
  report("cold start to the first app (layer import)", {ms_since(cold)});
  report("load, create, start of all plugins, warm", rounds(5, [&](int) {
           node.stop();
           const auto warm = Clock::now();
           return node.start() ? ms_since(warm) : -1;
         }));
  report_idle_memory(node);

  report("push (first, new app) to first 200",
         rounds(3, [&](int i) { return push_to_200(node, "app" + std::to_string(i)); }));
  report("job start: flynn run true, whole command", rounds(9, [&](int) {
           const auto start = Clock::now();
           return node.flynn({"-a", "app0", "run", "true"}).ok() ? ms_since(start) : -1;
         }));
  for (const char* slot : {"store", "discovery", "blobstore", "scheduler", "logs", "host", "controller", "router",
                           "builder", "images", "postgres"}) {
    report((std::string("swap of an idle ") + slot + ", total").c_str(),
           rounds(7, [&](int) { return swap_ms(node, slot, "total_ms"); }));
    report((std::string("swap of an idle ") + slot + ", pause").c_str(),
           rounds(7, [&](int) { return swap_ms(node, slot, "pause_ms"); }));
  }
  report("kill -9 of the host at full load to first 200", rounds(5, [&](int) { return killed_to_200(node, "app0"); }));
  return 0;
}

}  // namespace
}  // namespace flynn::e2e

int main() { return flynn::e2e::measure(); }
