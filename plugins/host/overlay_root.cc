#include "overlay_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "files.h"
#include "mounts.h"

namespace flynn::host {
namespace {

// mount(2) takes one page of options.
constexpr std::size_t kOptionsMax = 4095;
constexpr std::size_t kLongestName = sizeof "/proc/self/fd/1048576/ff";  // fs.nr_open's default; with the separator
static_assert(sizeof "lowerdir=,upperdir=,workdir=" + (kLayersMax + 2) * kLongestName <= kOptionsMax);

/// Names of a few bytes for folders: a folder of symlinks, reached by its descriptor, gone with the object.
/// Rather than a chdir (that of all threads), a descriptor a layer (the router needs them) or fsconfig's "lowerdir+"
/// (Linux 6.7): this works on every kernel that we support, in one way.
class ShortNames {
 public:
  static Result<ShortNames> make(std::string folder) {
    if (path_exists(folder))  // of a process that died in between
      if (auto gone = remove_tree(folder); !gone) return gone.error();
    if (auto made = make_folders(folder); !made) return made.error();
    ShortNames names(std::move(folder));
    names.opened_.reset(::open(names.folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!names.opened_) return errno_error(errno, "open " + names.folder_);
    return names;
  }
  ShortNames(ShortNames&& other) noexcept
      : folder_(std::exchange(other.folder_, {})), opened_(std::move(other.opened_)), made_(other.made_) {}
  ShortNames& operator=(ShortNames&&) = delete;
  ~ShortNames() {
    if (folder_.empty()) return;
    for (unsigned number = 0; number < made_; ++number) ::unlinkat(opened_.get(), name_of(number).c_str(), 0);
    ::rmdir(folder_.c_str());
  }
  /// `target`: absolute. The name is good while this object lives, and has nothing that overlay's options escape.
  Result<std::string> add(const std::string& target) {
    const auto name = name_of(made_);
    if (::symlinkat(target.c_str(), opened_.get(), name.c_str()) != 0) return errno_error(errno, "link to " + target);
    ++made_;
    return "/proc/self/fd/" + std::to_string(opened_.get()) + "/" + name;
  }

 private:
  explicit ShortNames(std::string folder) : folder_(std::move(folder)) {}
  static std::string name_of(unsigned number) {
    char name[12];
    std::snprintf(name, sizeof name, "%02x", number);
    return name;
  }

  std::string folder_;
  UniqueFd opened_;
  unsigned made_ = 0;
};

/// Top first. The kernel refuses a layer that is there twice; the upper one already says all that the lower one does.
std::vector<std::string> lower_folders(const std::vector<std::string>& layers) {
  std::vector<std::string> folders;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer)
    if (std::find(folders.begin(), folders.end(), *layer) == folders.end()) folders.push_back(*layer);
  return folders;
}

Result<std::string> overlay_options(ShortNames& names, const std::vector<std::string>& lower, const std::string& upper,
                                    const std::string& work) {
  std::string options;
  for (const auto& folder : lower) {
    auto name = names.add(folder);
    if (!name) return name.error();
    options += (options.empty() ? "lowerdir=" : ":") + *name;
  }
  for (const auto& [option, folder] : {std::pair{",upperdir=", &upper}, std::pair{",workdir=", &work}}) {
    auto name = names.add(*folder);
    if (!name) return name.error();
    options += option + *name;
  }
  return options;
}

}  // namespace

Result<void> mount_root(const NodePaths& paths, const std::string& job_id, const std::vector<std::string>& layers) {
  const auto root = paths.job_root(job_id);
  if (is_mounted(root)) return {};
  const auto lower = lower_folders(layers);
  if (lower.size() > kLayersMax)
    return Error{Code::invalid_argument, "more than " + std::to_string(kLayersMax) + " layers"};
  const auto upper = paths.job(job_id) + "/upper", work = paths.job(job_id) + "/work";
  for (const auto& folder : {root, upper, work}) {
    if (auto made = make_folders(folder); !made) return made;
  }
  // The job's / itself takes owner and mode of `upper`.
  if (::chmod(upper.c_str(), 0755) != 0) return errno_error(errno, "chmod " + upper);
  auto names = ShortNames::make(paths.job_short_names(job_id));
  if (!names) return names.error();
  auto options = overlay_options(*names, lower, upper, work);
  if (!options) return options.error();
  if (::mount("overlay", root.c_str(), "overlay", MS_NODEV, options->c_str()) != 0) {
    return errno_error(errno, "mount the overlay of job " + job_id);
  }
  return {};
}

Result<void> unmount_root(const NodePaths& paths, const std::string& job_id) {
  for (const auto& point : mounts_below(paths.job(job_id))) {
    if (auto done = unmount(point); !done) return done;
  }
  const auto names = paths.job_short_names(job_id);
  return path_exists(names) ? remove_tree(names) : Result<void>();
}

std::string job_hostname(const JobSpec& spec) {
  std::string name;
  for (char c : spec.id) name += c == '.' || c == '_' ? '-' : c;
  return name.substr(0, 63);
}

Result<void> write_etc_files(const NodePaths& paths, const JobSpec& spec, const JobNetwork& network) {
  const auto etc = paths.job(spec.id) + "/etc";
  if (auto made = make_folders(etc); !made) return made;
  const auto name = job_hostname(spec);
  if (auto done = write_file(etc + "/hostname", name + "\n", 0644); !done) return done;
  if (auto done = write_file(
          etc + "/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n" + network.address + "\t" + name + "\n",
          0644);
      !done) {
    return done;
  }
  std::string resolv;
  for (const auto& server : network.dns) resolv += "nameserver " + server + "\n";
  return write_file(etc + "/resolv.conf", resolv, 0644);
}

}  // namespace flynn::host
