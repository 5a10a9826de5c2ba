#include "heartbeat.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "files.h"

namespace flynn::host {
namespace {

using namespace std::chrono_literals;

constexpr auto kHostTtl = 15'000ms;
constexpr int kBeatMs = 5'000, kBeatRetryMs = 500;

}  // namespace

Heartbeat::Heartbeat(Door& door, Log& log, const Machine& machine, Gate& gate, std::function<void()> on_begin)
    : door_(door),
      log_(log),
      machine_(machine),
      gate_(gate),
      on_begin_(std::move(on_begin)),
      host_id_(machine.options().host_id),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Heartbeat::start() {
  if (worker_.running()) return;
  worker_.start("host-beat", [this](const StopSignal& stop) { run(stop); });
}

void Heartbeat::begin() {
  begun_ = true;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

json::object Heartbeat::document() const {
  struct sysinfo machine {};
  ::sysinfo(&machine);
  const auto memory = static_cast<std::uint64_t>(machine.totalram) * machine.mem_unit;
  const auto reserve = std::min(machine_.options().memory_reserve_bytes, memory / 2);
  const json::object capacity{{"memory_bytes", memory - reserve},
                              {"cpu_millis", 1000 * ::sysconf(_SC_NPROCESSORS_ONLN)}};
  return {{"v", 1},
          {"id", host_id_},
          {"addr", machine_.gateway()},
          {"capacity", capacity},
          {"tags", json::object{}},
          {"started_at", now_rfc3339()}};
}

// Under a lease: a machine that says nothing is given up by the scheduler.
bool Heartbeat::beat(const json::object& document) {
  StoreClient store(door_);
  if (!lease_.empty() && store.keep_lease_alive(lease_)) return true;
  auto granted = store.grant_lease(kHostTtl);
  auto put = granted ? store.put("hosts/" + host_id_, document, *granted) : Result<std::int64_t>(granted.error());
  lease_ = put ? *granted : std::string();
  if (!put) log_.warn("host_key_not_written", {{"error", put.error().message}});
  return put.ok();
}

void Heartbeat::run(const StopSignal& stop) {
  json::object machine;
  while (!stop.asked()) {
    int pause = kBeatMs;
    if (const auto pass = gate_.enter()) {
      if (begun_.exchange(false)) {
        on_begin_();
        machine = document();
        lease_.clear();  // another instance's may be on the key by now
      }
      if (!machine.empty()) pause = beat(machine) ? kBeatMs : kBeatRetryMs;
    }
    std::array<pollfd, 2> entries{{{stop.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), pause);
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
  }
}

}  // namespace flynn::host
