#include "freed_memory.h"

#include <malloc.h>

#include <algorithm>
#include <thread>

namespace flynn::core {
namespace {

// Named, so glibc does not raise them after large blocks were freed: it would then keep up to twice such a block at the
// end of every arena.
constexpr int kBlockOfItsOwnBytes = 256 << 10;  // from here on a block is mapped for itself, and unmapped when freed
constexpr int kFreeAtTheEndBytesMax = 128 << 10;
constexpr int kGrowthBytes = 64 << 10;

// Its default is 8: nearly all of a node's threads wait nearly all the time.
constexpr int kArenasPerCore = 2, kArenasMin = 4;

}  // namespace

void bound_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, kBlockOfItsOwnBytes);
  ::mallopt(M_TRIM_THRESHOLD, kFreeAtTheEndBytesMax);
  ::mallopt(M_TOP_PAD, kGrowthBytes);
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  ::mallopt(M_ARENA_MAX, std::max(kArenasMin, cores * kArenasPerCore));
}

void give_back_freed_memory() { ::malloc_trim(0); }

}  // namespace flynn::core
