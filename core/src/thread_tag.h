// Which threads belong to which plugin instance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn::core {

/// Marks the calling thread; threads that it creates inherit the mark, and theirs too. The mark is the thread's timer
/// slack (50 us + `tag` ns): the only attribute that the kernel inherits, that nobody else uses and that another thread
/// can read. `tag` 0: none.
void tag_this_thread(std::uint32_t tag);
/// The calling thread's tag, 0 for none. Async-signal-safe.
std::uint32_t thread_tag_here();
/// The tag of the next instance; starts again after 60,000 instances.
std::uint32_t next_thread_tag();

struct TaggedThread {
  int tid = 0;
  std::string name;
};

/// The live threads of the process that carry `tag`. permission_denied without CAP_SYS_NICE: then nobody can say.
Result<std::vector<TaggedThread>> threads_with_tag(std::uint32_t tag);
std::string thread_name(int tid);
/// For the debugger and ps: at most 15 characters of `name` become the calling thread's name.
void name_this_thread(const std::string& name);

}  // namespace flynn::core
