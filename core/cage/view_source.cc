#include "view_source.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>

namespace flynn::core {
namespace {

constexpr int kLinksMax = 40;  // as the kernel's

std::deque<std::string> parts_of(const std::string& path) {
  std::deque<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    if (end > at && path.compare(at, end - at, ".") != 0) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string text_of_link(const std::string& path) {
  std::array<char, PATH_MAX> text{};
  const auto size = ::readlink(path.c_str(), text.data(), text.size());
  return size <= 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
}

// As the kernel walks it, keeping the links that it meets. Empty: there is no such path.
std::string walk(const std::string& path, std::vector<ViewLink>& links) {
  auto left = parts_of(path);
  std::string here;
  for (int followed = 0; !left.empty();) {
    const auto part = std::move(left.front());
    left.pop_front();
    if (part == "..") {
      here.resize(here.empty() ? 0 : here.rfind('/'));
      continue;
    }
    const auto next = here + "/" + part;
    struct stat facts {};
    if (::lstat(next.c_str(), &facts) != 0) return {};
    if (!S_ISLNK(facts.st_mode)) {
      here = next;
      continue;
    }
    const auto target = text_of_link(next);
    if (target.empty() || ++followed > kLinksMax) return {};
    links.push_back({next, target});
    if (target.front() == '/') here.clear();
    const auto more = parts_of(target);
    left.insert(left.begin(), more.begin(), more.end());
  }
  return here.empty() ? "/" : here;
}

bool is_in(const std::string& path, const std::string& folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  std::array<char, PATH_MAX> here{};
  return ::getcwd(here.data(), here.size()) == nullptr ? path : std::string(here.data()) + "/" + path;
}

Result<ViewTree> clone(const std::string& path, FileUse use) {
  ViewTree tree;
  tree.use = use;
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) return errno_error(errno, "look at " + path);
  tree.folder = S_ISDIR(facts.st_mode);
  constexpr unsigned kFlags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW;
  tree.mounts = UniqueFd(::open_tree(AT_FDCWD, path.c_str(), kFlags));
  if (!tree.mounts && errno == ENOSYS) return Error{Code::unimplemented, "it needs Linux 5.12 or later"};
  if (!tree.mounts) return errno_error(errno, "open the mounts of " + path);
  return tree;
}

}  // namespace

const ViewTree* ViewSource::around(const std::string& path) const {
  for (auto folder = path; folder.rfind('/') != 0;) {
    folder.resize(folder.rfind('/'));
    if (const auto found = trees.find(folder); found != trees.end()) return &found->second;
  }
  return nullptr;
}

Result<ViewSource> ViewSource::open(const std::vector<FileRule>& rules) {
  std::map<std::string, FileUse> wanted;
  std::vector<ViewLink> links;
  for (const auto& rule : rules) {
    const auto path = walk(absolute(rule.path), links);
    if (path.empty() || is_in(path, "/proc")) continue;
    const auto [place, fresh] = wanted.emplace(path, rule.use);
    if (!fresh && rule.use == FileUse::write) place->second = rule.use;
  }
  ViewSource source;
  for (const auto& [path, use] : wanted) {
    const auto* parent = source.around(path);
    if (parent != nullptr && (parent->writable() || use != FileUse::write)) continue;
    auto tree = clone(path, use);
    if (!tree) return tree.error();
    source.trees.emplace(path, std::move(*tree));
  }
  for (auto& link : links)
    if (source.around(link.path) == nullptr) source.links.push_back(std::move(link));
  return source;
}

}  // namespace flynn::core
