#include "layer_plan.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "tar_reader.h"

namespace flynn::images {
namespace {

using Kind = PlannedEntry::Kind;

constexpr std::string_view kWhiteout = ".wh.", kWhiteoutMeta = ".wh..wh.", kOpaque = ".wh..wh..opq";
constexpr std::size_t kPathBytesMax = 4095, kNameBytesMax = 255;
// Far deeper than images are; every name of a path is looked up once.
constexpr int kDepthMax = 256;
constexpr int kLinksMax = 40;
// Between two looks at the clock and the stop signal, which are system calls.
constexpr std::size_t kStepsBetweenLooks = 256;

Error refused(std::string_view path, const std::string& why) {
  return {Code::invalid_argument, "the layer's entry \"" + std::string(path) + "\" " + why};
}

std::pair<std::string, std::string> split(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

// What the kernel or overlayfs would act upon (trusted.*, ACLs) is not for an image to say.
bool is_taken(std::string_view attribute) {
  return attribute == "security.capability" || attribute.starts_with("user.");
}

std::string_view text(const char* words) { return words != nullptr ? words : ""; }

}  // namespace

Result<std::string> checked_path(std::string_view path) {
  if (path.size() > kPathBytesMax) return refused(path.substr(0, 100), "has a path that is too long");
  std::string out;
  int depth = 0;
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    const auto name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") return refused(path, "leaves the layer by \"..\"");
    if (name.size() > kNameBytesMax) return refused(path.substr(0, 100), "has a name that is too long");
    if (++depth > kDepthMax)
      return refused(path.substr(0, 100), "is more than " + std::to_string(kDepthMax) + " names deep");
    out += (out.empty() ? "" : "/") + std::string(name);
  }
  return out;
}

/// Gathers entries, then puts them in order.
class PlanReader {
 public:
  PlanReader(const PlanLimits& limits, Deadline deadline, const StopSignal& stop)
      : limits_(limits), deadline_(deadline), stop_(stop) {}

  Result<LayerPlan> read(int tar) {
    auto reader = TarReader::open(tar);
    if (!reader) return reader.error();
    for (;;) {
      if (auto going = go_on(); !going) return going.error();
      auto entry = reader->next();
      if (!entry) return entry.error();
      if (*entry == nullptr) break;
      if (auto taken = take(*entry, reader->number()); !taken) return taken.error();
    }
    if (auto placed = place(); !placed) return placed.error();
    return std::move(plan_);
  }

 private:
  std::map<std::string, PlannedEntry>& entries() { return plan_.entries_; }

  /// For each step of a loop over entries.
  Result<void> go_on() {
    if (steps_++ % kStepsBetweenLooks != 0) return {};
    if (stop_.asked()) return Error{Code::unavailable, "the plugin images is being stopped"};
    if (deadline_.passed())
      return Error{Code::deadline_exceeded, "the layer was not read in time (convert_timeout_ms of the plugin images)"};
    return {};
  }

  Result<void> count(std::size_t words) {
    words_ += words;
    if (++count_ > limits_.entries_max)
      return Error{Code::invalid_argument,
                   "the layer has more than " + std::to_string(limits_.entries_max) + " entries"};
    if (words_ > limits_.words_bytes_max)
      return Error{Code::invalid_argument, "the names in the layer are too long altogether"};
    return {};
  }

  Result<void> take(archive_entry* entry, std::uint64_t number) {
    const std::string_view given = text(archive_entry_pathname(entry));
    if (given.empty()) return refused("#" + std::to_string(number), "has no name");
    auto path = checked_path(given);
    if (!path) return path.error();
    const auto [folder, name] = split(*path);
    if (const auto at = ("/" + folder).find("/" + std::string(kWhiteout)); at != std::string::npos) {
      if (folder.compare(at, kWhiteoutMeta.size(), kWhiteoutMeta) == 0) return {};
      return refused(*path, "stands below a whiteout");
    }
    if (name.starts_with(kWhiteout)) return take_whiteout(*path, folder, name);
    if (path->empty()) return {};  // the root's owner and mode are the platform's
    PlannedEntry planned;
    planned.number = number;
    if (auto described = describe(entry, *path, planned); !described) return described;
    std::size_t words = path->size() + planned.target.size();
    for (const auto& [key, value] : planned.attributes) words += key.size() + value.size();
    if (auto counted = count(words); !counted) return counted;
    if (archive_entry_hardlink(entry) == nullptr && archive_entry_filetype(entry) == AE_IFSOCK) return {};
    entries()[*path] = std::move(planned);
    return {};
  }

  Result<void> take_whiteout(const std::string& path, const std::string& folder, const std::string& name) {
    if (auto counted = count(path.size()); !counted) return counted;
    if (name == kOpaque) {
      if (folder.empty()) return refused(path, "would hide the whole image below, which overlayfs can't");
      opaque_.insert(folder);
      return {};
    }
    if (name.starts_with(kWhiteoutMeta)) return {};  // AUFS's own bookkeeping
    const std::string hidden = name.substr(kWhiteout.size());
    if (hidden.empty() || hidden == "." || hidden == "..") return refused(path, "hides no name");
    whiteouts_.insert(join(folder, hidden));
    return {};
  }

  Result<void> describe(archive_entry* entry, const std::string& path, PlannedEntry& planned) {
    if (const char* target = archive_entry_hardlink(entry)) {
      auto checked = checked_path(target);
      if (!checked) return checked.error();
      planned.kind = Kind::hard_link;
      planned.target = std::move(*checked);
      return {};
    }
    planned.mode = archive_entry_perm(entry);
    planned.uid = archive_entry_uid(entry);
    planned.gid = archive_entry_gid(entry);
    planned.mtime = std::clamp<std::int64_t>(archive_entry_mtime(entry), 0, UINT32_MAX);
    for (const std::int64_t id : {planned.uid, planned.gid})
      if (id < 0 || id >= UINT32_MAX) return refused(path, "has an owner that is out of range");
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        planned.kind = Kind::folder;
        break;
      case AE_IFREG:
        planned.kind = Kind::file;
        planned.size = archive_entry_size(entry);
        // A sparse file may claim any size: nothing is added before it is compared.
        if (planned.size < 0 || planned.size > limits_.content_bytes_max - content_bytes_)
          return refused(path, "brings the layer's files above " + std::to_string(limits_.content_bytes_max) +
                                   " bytes (layer_bytes_max of the plugin images)");
        content_bytes_ += planned.size;
        break;
      case AE_IFLNK:
        planned.kind = Kind::symlink;
        planned.target = text(archive_entry_symlink(entry));
        if (planned.target.empty() || planned.target.size() > kPathBytesMax)
          return refused(path, "is a link whose target is empty or too long");
        break;
      case AE_IFCHR:
      case AE_IFBLK:
        planned.kind = Kind::device;
        planned.mode |= archive_entry_filetype(entry) == AE_IFCHR ? S_IFCHR : S_IFBLK;
        planned.device = archive_entry_rdev(entry);
        break;
      case AE_IFIFO:
        planned.kind = Kind::pipe;
        break;
      case AE_IFSOCK:
        break;
      default:
        return refused(path, "is of a kind that a layer can't have");
    }
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
      if (is_taken(text(name)))
        planned.attributes.emplace_back(name, std::string(static_cast<const char*>(value), size));
    }
    return {};
  }

  Result<void> place() {
    // What is made meanwhile has its parents.
    for (const auto& [path, entry] : entries())
      if (auto made = make_parents(path); !made) return made;
    for (const std::string& path : opaque_) {
      if (auto made = make_parents(path); !made) return made;
      PlannedEntry& entry = entries()[path];
      if (entry.kind != Kind::folder) return refused(path, "is marked opaque and is no folder");
      entry.opaque = true;
    }
    for (const std::string& path : whiteouts_)
      if (auto hidden = hide(path); !hidden) return hidden;
    for (auto& [path, entry] : entries()) {
      if (entry.kind != Kind::hard_link) continue;
      if (auto found = resolve(path, entry); !found) return found;
    }
    return {};
  }

  /// Folders that no entry names, up to the first that is known: that one has its parents, or gets them in its turn.
  Result<void> make_parents(const std::string& path) {
    if (auto going = go_on(); !going) return going;
    std::string folder = path;
    for (auto slash = folder.rfind('/'); slash != std::string::npos; slash = folder.rfind('/')) {
      folder.resize(slash);
      const auto [place, made] = entries().try_emplace(folder);
      if (!made && place->second.kind != Kind::folder)
        return refused(path, "stands below \"" + folder + "\", which is no folder in this layer");
      if (!made) return {};
      if (auto counted = count(folder.size()); !counted) return counted;
    }
    return {};
  }

  Result<void> hide(const std::string& path) {
    if (auto going = go_on(); !going) return going;
    if (const auto found = entries().find(path); found != entries().end()) {
      // What the layer has itself replaces what is below; only folders would be merged with it.
      found->second.opaque = found->second.kind == Kind::folder;
      return {};
    }
    std::string folder = path;
    for (auto slash = folder.rfind('/'); slash != std::string::npos; slash = folder.rfind('/')) {
      folder.resize(slash);
      const auto found = entries().find(folder);
      if (found == entries().end()) continue;
      if (is_whiteout(found->second)) return {};  // hidden with its folder
      break;                                      // only folders are above it
    }
    if (auto made = make_parents(path); !made) return made;
    PlannedEntry& entry = entries()[path];
    entry.kind = Kind::device;
    entry.mode = S_IFCHR;
    return {};
  }

  static bool is_whiteout(const PlannedEntry& entry) {
    return entry.kind == Kind::device && (entry.mode & S_IFMT) == S_IFCHR && entry.device == 0;
  }

  Result<void> resolve(const std::string& path, PlannedEntry& link) {
    if (auto going = go_on(); !going) return going;
    for (int i = 0; i < kLinksMax; ++i) {
      const auto found = entries().find(link.target);
      if (found == entries().end() || found->second.kind == Kind::folder || is_whiteout(found->second))
        return refused(path, "is a hard link to \"" + link.target + "\", which is no file of this layer");
      if (found->second.kind != Kind::hard_link) return {};
      link.target = found->second.target;
    }
    return refused(path, "is a hard link that leads in a circle");
  }

  const PlanLimits limits_;
  const Deadline deadline_;
  const StopSignal& stop_;
  LayerPlan plan_;
  std::set<std::string> whiteouts_, opaque_;
  std::size_t count_ = 0, words_ = 0, steps_ = 0;
  std::int64_t content_bytes_ = 0;
};

Result<LayerPlan> LayerPlan::read(int tar, const PlanLimits& limits, Deadline deadline, const StopSignal& stop) {
  return PlanReader(limits, deadline, stop).read(tar);
}

}  // namespace flynn::images
