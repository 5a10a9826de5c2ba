#include "mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace flynn::host {
namespace {

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::vector<MountEntry> read_mounts() {
  std::ifstream file("/proc/thread-self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  return parse_mountinfo(text.str());
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, field;
    MountEntry entry;
    if (!(fields >> id >> parent >> device >> root >> entry.point)) continue;
    while (fields >> field && field != "-") continue;
    fields >> entry.type >> entry.source >> entry.options;
    entry.point = unescape(entry.point);
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<std::string> mounts_below(const std::string& folder) {
  std::vector<std::string> points;
  for (const auto& entry : read_mounts()) {
    if (entry.point == folder || entry.point.rfind(folder + "/", 0) == 0) points.push_back(entry.point);
  }
  std::reverse(points.begin(), points.end());
  std::stable_sort(points.begin(), points.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  return points;
}

bool is_mounted(const std::string& point) {
  // One answer of the kernel instead of a table as long as there are mounts (Linux 5.8).
  struct statx facts {};
  if (::statx(AT_FDCWD, point.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO, &facts) == 0 &&
      (facts.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
    return (facts.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  const auto points = mounts_below(point);
  return std::find(points.begin(), points.end(), point) != points.end();
}

Result<void> unmount(const std::string& point) {
  if (::umount2(point.c_str(), UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) return {};
  if (errno == EBUSY && ::umount2(point.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0) return {};
  return errno_error(errno, "unmount " + point);
}

}  // namespace flynn::host
