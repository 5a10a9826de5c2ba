// What becomes of memory that is freed in a process whose plugins come and go.
#pragma once

namespace flynn::core {

/// Bounds what the allocator keeps of freed memory, which by its defaults grows with the largest blocks that were ever
/// freed and with the number of threads. Thread: [startup], before there is another.
void bound_freed_memory();

/// Gives back to the kernel what lies free among what lives, in the arenas of all threads: what an instance had, after
/// its end. The allocator itself returns only what is at the end of an arena, so each swap would leave some more pages
/// behind. It takes milliseconds, and each arena's lock for its share of them. Thread: [any].
void give_back_freed_memory();

}  // namespace flynn::core
