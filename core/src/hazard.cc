#include "hazard.h"

#include <linux/membarrier.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "thread_tag.h"

namespace flynn::core {

std::atomic<bool> hazards_use_membarrier{false};

namespace {

constexpr std::chrono::microseconds kSoon{300};

// Records are never freed: a thread that ends leaves its own for the next one.
std::atomic<HazardRecord*> all_records{nullptr};

HazardRecord* acquire_record() {
  for (auto* record = all_records.load(std::memory_order_acquire); record != nullptr; record = record->next) {
    bool free = false;
    if (record->in_use.compare_exchange_strong(free, true)) return record;
  }
  auto* record = new HazardRecord;
  record->in_use = true;
  record->next = all_records.load(std::memory_order_relaxed);
  while (!all_records.compare_exchange_weak(record->next, record, std::memory_order_acq_rel)) {
  }
  return record;
}

struct ThreadHold {
  HazardRecord* record = acquire_record();
  ThreadHold() { record->thread_id = static_cast<int>(::syscall(SYS_gettid)); }
  ~ThreadHold() { record->in_use.store(false, std::memory_order_release); }
};

long membarrier(int command) { return ::syscall(SYS_membarrier, command, 0, 0); }

std::vector<std::string> holders(const Guarded& object) {
  std::vector<std::string> names;
  for (auto* record = all_records.load(std::memory_order_acquire); record != nullptr; record = record->next)
    for (const auto& pointer : record->pointers)
      if (pointer.load(std::memory_order_acquire) == &object) {
        names.push_back(thread_name(record->thread_id) + "(" + std::to_string(record->thread_id) + ")");
        break;
      }
  if (object.deep_callers.load(std::memory_order_acquire) > 0) names.emplace_back("a deeply nested call");
  return names;
}

}  // namespace

bool prepare_hazards() {
  const bool registered = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
  hazards_use_membarrier = registered;
  return registered;
}

HazardRecord& hazard_record() {
  thread_local ThreadHold hold;
  return *hold.record;
}

std::vector<std::string> wait_until_unguarded(const Guarded& object, Deadline deadline) {
  if (hazards_use_membarrier)
    membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  else
    std::atomic_thread_fence(std::memory_order_seq_cst);
  // Most calls are out again in less time than a sleep takes, and others may wait at the door meanwhile.
  const auto soon = Deadline::after(kSoon);
  while (true) {
    auto names = holders(object);
    if (names.empty() || deadline.passed()) return names;
    if (soon.passed())
      ::poll(nullptr, 0, 1);
    else
      ::sched_yield();
  }
}

}  // namespace flynn::core
