// Durable transactions a second and their latency with 1 and 64 callers, and how long a start with 100,000 keys takes.
// Usage: store_bench [FOLDER [SECONDS]]; FOLDER must lie on the disk that is to be measured.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "store.h"

namespace {

using Clock = std::chrono::steady_clock;
using flynn::store::Store;

struct QuietLog : flynn::Log {
  void write(flynn::LogLevel, std::string_view event, const flynn::json::object& fields) override {
    std::fprintf(stderr, "%.*s %s\n", static_cast<int>(event.size()), event.data(), flynn::to_text(fields).c_str());
  }
};

flynn::json::object put(const std::string& key, std::int64_t number) {
  const flynn::json::object value{
      {"v", 1}, {"n", number}, {"text", "a value of about the size of a job's status, or so"}};
  return {{"put", flynn::json::object{{"key", key}, {"value", value}}}};
}

double ms(Clock::duration span) { return std::chrono::duration<double, std::milli>(span).count(); }

bool write_once(Store& store, int caller, std::int64_t number, std::vector<double>& latencies) {
  const auto begun = Clock::now();
  auto done = store.call(
      "Txn",
      {{"then",
        flynn::json::array{put("bench/" + std::to_string(caller) + "/" + std::to_string(number % 100), number)}}},
      flynn::Deadline::after(std::chrono::seconds(30)));
  latencies.push_back(ms(Clock::now() - begun));
  if (!done) std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done.ok();
}

void measure(Store& store, int callers, std::chrono::seconds span) {
  std::vector<std::vector<double>> latencies(static_cast<std::size_t>(callers));
  std::vector<std::thread> threads;
  const auto begun = Clock::now();
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, caller] {
      auto& own = latencies[static_cast<std::size_t>(caller)];
      for (std::int64_t n = 0; Clock::now() - begun < span && write_once(store, caller, n, own); ++n) {
      }
    });
  for (auto& thread : threads) thread.join();
  const double seconds = ms(Clock::now() - begun) / 1000;
  std::vector<double> all;
  for (const auto& each : latencies) all.insert(all.end(), each.begin(), each.end());
  std::sort(all.begin(), all.end());
  const auto at = [&](double share) {
    return all[static_cast<std::size_t>(static_cast<double>(all.size() - 1) * share)];
  };
  std::printf("%3d callers: %8.0f txn/s   p50 %6.2f ms   p99 %6.2f ms   max %6.1f ms\n", callers,
              static_cast<double>(all.size()) / seconds, at(0.5), at(0.99), all.back());
}

bool fill(Store& store, int keys) {
  for (int first = 0; first < keys; first += 100) {
    flynn::json::array ops;
    for (int i = first; i < first + 100; ++i) ops.push_back(put("fill/" + std::to_string(i), i));
    if (!store.call("Txn", {{"then", std::move(ops)}}, flynn::Deadline::after(std::chrono::seconds(30)))) return false;
  }
  return true;
}

std::unique_ptr<Store> open(const flynn::store::StoreOptions& options, flynn::Log& log) {
  auto store = Store::open(options, log);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message.c_str());
    return nullptr;
  }
  (*store)->activate();
  return std::move(*store);
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder =
      std::filesystem::path(argc > 1 ? argv[1] : ".") / ("store-bench-" + std::to_string(::getpid()));
  const std::chrono::seconds span(argc > 2 ? std::stoi(argv[2]) : 5);
  std::filesystem::create_directories(folder);
  QuietLog log;
  flynn::store::StoreOptions options;
  options.journal = {folder / "store", folder / "store.key", {}};
  int status = 1;
  if (auto store = open(options, log)) {
    measure(*store, 1, span);
    measure(*store, 64, span);
    status = fill(*store, 100'000) ? 0 : 1;
    store.reset();
    const auto begun = Clock::now();
    if (open(options, log)) std::printf("start with 100,000 keys and the history: %.0f ms\n", ms(Clock::now() - begun));
  }
  std::filesystem::remove_all(folder);
  return status;
}
