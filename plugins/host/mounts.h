// What is mounted, and unmounting it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/result.h"

namespace flynn::host {

/// One line of /proc/self/mountinfo.
struct MountEntry {
  std::string point, type, source, options;  // options: of the superblock
};

std::vector<MountEntry> parse_mountinfo(std::string_view text);
/// Mount points at or below `folder` in this mount namespace, deepest first.
std::vector<std::string> mounts_below(const std::string& folder);
bool is_mounted(const std::string& point);
/// Unmounts what is mounted at `point`; nothing mounted there is fine. A busy mount is detached lazily: its users are
/// dead processes whose last references the kernel is about to drop.
Result<void> unmount(const std::string& point);

}  // namespace flynn::host
