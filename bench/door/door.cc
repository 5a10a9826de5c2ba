// A call through the door with a document of 200 bytes, beside what its parsing and printing cost without a door; and
// the life of a caged plugin that is killed again and again under load.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "node.h"

namespace flynn::core {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr const char* kInterface = "test.prisoner/1";
constexpr int kBatches = 51;

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

struct Spread {
  double median = 0, min = 0, max = 0;
};

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

// Microseconds a call: the mean of a batch, and the spread over batches.
Spread cost(int calls, const std::function<void()>& call) {
  std::vector<double> batches;
  for (int batch = 0; batch < kBatches; ++batch) {
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    batches.push_back(us_since(start) / calls);
  }
  return spread_of(std::move(batches));
}

void print(const char* what, const Spread& spread, double above = -1) {
  std::printf("%-40s %8.2f us  (%.2f-%.2f)", what, spread.median, spread.min, spread.max);
  if (above >= 0) std::printf("  %.2f us above the direct one", spread.median - above);
  std::printf("\n");
}

class BenchNode {
 public:
  explicit BenchNode(bool caged, int slots = 1) {
    std::string pattern = "/tmp/flynn-bench.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    ::chmod(folder_.c_str(), 0711);
    NodeConfig config;
    config.file = folder_ + "/flynn.toml";
    config.data_dir = folder_ + "/data";
    config.run_dir = folder_ + "/run";
    config.cage_program = FLYNN_HOST_PROGRAM;
    for (int i = 0; i < slots; ++i) {
      PluginConfig plugin;
      plugin.slot = i == 0 ? "bench" : "bench" + std::to_string(i);
      plugin.path = PRISONER;
      plugin.cage.own_process = caged;
      config.plugins.push_back(plugin);
    }
    log_ = std::move(*EventLog::open(folder_ + "/log", "info"));
    node_ = std::make_unique<Node>(config, std::move(*Listeners::open({})), *log_);
    if (auto booted = node_->boot(); !booted) std::fprintf(stderr, "%s\n", booted.error().message.c_str());
  }
  ~BenchNode() {
    node_->shut_down();
    node_.reset();
    std::filesystem::remove_all(folder_);
  }
  Result<Reply> call(const char* method, const json::object& body) {
    return node_->door().call_as_operator(kInterface, method, body, Deadline::after(5s));
  }
  /// Of the process that answers in that slot; 0: none.
  pid_t process(const std::string& slot) {
    auto facts = node_->door().call_as_operator(std::string(kInterface) + "@" + slot, "Facts", {}, Deadline::after(5s));
    return facts ? static_cast<pid_t>(int_or(facts->body, "pid")) : 0;
  }
  std::string state(const std::string& slot = "bench") {
    auto facts = node_->inspect(slot);
    return facts ? string_or(*facts, "state") + " " + string_or(*facts, "reason") : "";
  }

 private:
  std::string folder_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<Node> node_;
};

json::object document() {
  json::object body{{"id", "8c0c8d0a-6f5e-4f0e-9d43-0d6f4f4f2a11"}, {"app", "example"}, {"count", 3}, {"ready", true}};
  body["note"] = std::string(200 - json::serialize(body).size() - std::string(R"(,"note":"")").size(), 'x');
  return body;
}

// The same work as a call's without the door: print, parse, print, parse.
double direct(const json::object& body) {
  const auto spread = cost(2000, [&] {
    auto there = parse_json_object(json::serialize(body));
    auto back = parse_json_object(json::serialize(*there));
    if (!back || back->size() != body.size()) std::abort();
  });
  print("parse and print, four times", spread);
  return spread.median;
}

void through(const char* what, bool caged, const json::object& body, double above) {
  BenchNode node(caged);
  print(what,
        cost(caged ? 500 : 2000,
             [&] {
               if (!node.call("Echo", body)) std::abort();
             }),
        above);
}

// Both ends asleep at the start of each call.
void now_and_then(const char* what, bool caged, const json::object& body, double above) {
  BenchNode node(caged);
  std::vector<double> calls;
  for (int i = 0; i < 500; ++i) {
    ::poll(nullptr, 0, 2);
    const auto start = Clock::now();
    if (!node.call("Echo", body)) std::abort();
    calls.push_back(us_since(start));
  }
  print(what, spread_of(std::move(calls)), above);
}

// Callers retry what is `unavailable`; anything else is a failure.
struct Load {
  std::atomic<bool> ends{false};
  std::atomic<std::uint64_t> answered{0}, unavailable{0}, failed{0};

  void run(BenchNode& node, const json::object& body) {
    while (!ends) {
      auto reply = node.call("Echo", body);
      if (reply) {
        ++answered;
      } else if (reply.error().code == Code::unavailable) {
        ++unavailable;
        ::poll(nullptr, 0, 1);
      } else if (failed.fetch_add(1) == 0) {
        std::fprintf(stderr, "failed: %s\n", reply.error().message.c_str());
      }
    }
  }
};

void kill_again_and_again(int times, const json::object& body) {
  BenchNode node(true);
  Load load;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) callers.emplace_back([&] { load.run(node, body); });
  std::vector<double> back;
  pid_t process = 0;
  for (int i = 0; i <= times; ++i) {
    const auto killed = Clock::now();
    if (process > 0) ::kill(process, SIGKILL);
    for (pid_t now = 0; now <= 0 || now == process;) {
      if (us_since(killed) > 10e6) {
        std::fprintf(stderr, "not back after kill %d: %s\n", i, node.state().c_str());
        load.ends = true;
        break;
      }
      auto facts = node.call("Facts", {});
      now = facts ? static_cast<pid_t>(int_or(facts->body, "pid")) : 0;
      if (now > 0 && now != process) {
        if (process > 0) back.push_back(us_since(killed) / 1000);
        process = now;
        break;
      }
      std::this_thread::yield();
    }
    if (load.ends) break;
  }
  load.ends = true;
  for (auto& caller : callers) caller.join();
  const auto spread = spread_of(back);
  std::printf(
      "caged plugin killed %zu times under load: back after %.1f ms (%.1f-%.1f); calls answered %llu, unavailable "
      "%llu, failed otherwise %llu\n",
      back.size(), spread.median, spread.min, spread.max, static_cast<unsigned long long>(load.answered),
      static_cast<unsigned long long>(load.unavailable), static_cast<unsigned long long>(load.failed));
}

// Nothing else runs: each kill is of all of them within microseconds, and the last one back counts.
void kill_all_at_once(int slots, int times) {
  BenchNode node(true, slots);
  std::vector<std::string> names{"bench"};
  for (int i = 1; i < slots; ++i) names.push_back("bench" + std::to_string(i));
  std::vector<double> first, last;
  for (int i = 0; i < times; ++i) {
    std::vector<pid_t> before;
    for (const auto& name : names) before.push_back(node.process(name));
    const auto killed = Clock::now();
    for (const pid_t process : before) ::kill(process, SIGKILL);
    std::vector<double> back(names.size(), 0);
    for (std::size_t away = names.size(); away > 0;) {
      for (std::size_t one = 0; one < names.size(); ++one) {
        if (back[one] > 0) continue;
        const pid_t now = node.process(names[one]);
        if (now <= 0 || now == before[one]) continue;
        back[one] = us_since(killed) / 1000;
        --away;
      }
      if (us_since(killed) > 10e6) {
        std::fprintf(stderr, "not all back after kill %d: %s\n", i, node.state(names.back()).c_str());
        return;
      }
      ::poll(nullptr, 0, 1);
    }
    first.push_back(*std::min_element(back.begin(), back.end()));
    last.push_back(*std::max_element(back.begin(), back.end()));
  }
  const auto one = spread_of(first), all = spread_of(last);
  std::printf(
      "%d caged plugins killed at once, %d times: the first back after %.1f ms (%.1f-%.1f), all after %.1f ms "
      "(%.1f-%.1f)\n",
      slots, times, one.median, one.min, one.max, all.median, all.min, all.max);
}

}  // namespace
}  // namespace flynn::core

int main(int argc, char** argv) {
  using namespace flynn::core;
  const auto body = document();
  std::printf("a document of %zu bytes; medians of %d batches (min-max)\n", flynn::json::serialize(body).size(),
              kBatches);
  const double above = direct(body);
  through("call through the door, shared", false, body, above);
  through("call through the door, caged", true, body, above);
  now_and_then("one every 2 ms, shared", false, body, above);
  now_and_then("one every 2 ms, caged", true, body, above);
  kill_again_and_again(argc > 1 ? std::atoi(argv[1]) : 1000, body);
  kill_all_at_once(6, argc > 1 ? std::max(std::atoi(argv[1]) / 20, 1) : 50);
  return 0;
}
