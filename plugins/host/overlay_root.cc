#include "overlay_root.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "files.h"
#include "mounts.h"

namespace flynn::host {
namespace {

// mount(2) takes one page of options.
constexpr std::size_t kOptionsMax = 4095;

bool needs_escape(const std::string& path) { return path.find_first_of(":,\\\"") != std::string::npos; }

}  // namespace

Result<void> mount_root(const NodePaths& paths, const std::string& job_id, const std::vector<std::string>& layers) {
  const auto root = paths.job_root(job_id);
  if (is_mounted(root)) return {};
  const auto upper = paths.job(job_id) + "/upper", work = paths.job(job_id) + "/work";
  for (const auto& folder : {root, upper, work}) {
    if (auto made = make_folders(folder); !made) return made;
  }
  // The job's / itself takes owner and mode of `upper`.
  if (::chmod(upper.c_str(), 0755) != 0) return errno_error(errno, "chmod " + upper);
  std::string lower;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    lower += (lower.empty() ? "" : ":") + *layer;
    if (needs_escape(*layer)) return Error{Code::invalid_argument, "run_dir must not contain : , \\ or quotes"};
  }
  if (needs_escape(upper)) return Error{Code::invalid_argument, "data_dir must not contain : , \\ or quotes"};
  const auto options = "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work;
  if (options.size() > kOptionsMax) return Error{Code::invalid_argument, "too many layers for one overlay"};
  if (::mount("overlay", root.c_str(), "overlay", MS_NODEV, options.c_str()) != 0) {
    return errno_error(errno, "mount the overlay of job " + job_id);
  }
  return {};
}

Result<void> unmount_root(const NodePaths& paths, const std::string& job_id) {
  for (const auto& point : mounts_below(paths.job(job_id))) {
    if (auto done = unmount(point); !done) return done;
  }
  return {};
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
