#include "layer_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>

#include "digest.h"
#include "files.h"
#include "loop_device.h"
#include "mounts.h"
#include "names.h"

namespace flynn::host {
namespace {

constexpr auto kFetchTimeout = std::chrono::seconds(60);
constexpr std::uint64_t kLayerBytesMax = 16ULL << 30;

}  // namespace

Result<void> LayerCache::fetch(const Layer& layer) {
  const auto target = paths_.layer_file(layer.id);
  if (path_exists(target)) return {};
  auto blob = door_.call("flynn.blobstore/1", "Get", {{"name", "layers/" + layer.id + ".squashfs"}}, kFetchTimeout);
  if (!blob) return blob.error().context("fetch layer " + layer.id);
  if (blob->fds.empty()) return Error{Code::internal, "fetch layer " + layer.id + ": the blobstore gave no file"};
  if (auto made = make_folders(paths_.layer_folder()); !made) return made;
  const auto temporary = target + ".tmp";
  ::unlink(temporary.c_str());
  UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "create " + temporary);
  const auto digest =
      copy_with_digest(blob->fds.front().get(), file.get(), layer.length > 0 ? layer.length : kLayerBytesMax);
  Result<void> outcome;
  if (!digest) {
    outcome = digest.error().context("layer " + layer.id);
  } else if (*digest != layer.id) {
    outcome = Error{Code::failed_precondition, "layer " + layer.id + ": the blob's SHA-512/256 is " + *digest +
                                                   "; it is damaged or was replaced: upload the layer again"};
  } else if (::fsync(file.get()) != 0 || ::rename(temporary.c_str(), target.c_str()) != 0) {
    outcome = errno_error(errno, "keep layer " + layer.id);
  }
  if (!outcome) ::unlink(temporary.c_str());
  return outcome;
}

Result<void> LayerCache::mount(const Layer& layer) {
  const auto point = paths_.layer_mount(layer.id);
  if (auto made = make_folders(point); !made) return made;
  return mount_squashfs(paths_.layer_file(layer.id), point);
}

Result<std::vector<std::string>> LayerCache::acquire(const std::string& job_id, const std::vector<Layer>& layers) {
  std::lock_guard lock(mutex_);
  std::vector<std::string> points;
  for (const auto& layer : layers) {
    const auto& point = points.emplace_back(paths_.layer_mount(layer.id));
    if (users_[layer.id].empty()) {
      if (auto fetched = fetch(layer); !fetched) return fetched.error();
      if (!is_mounted(point)) {
        if (auto done = mount(layer); !done) return done.error();
      }
    }
    users_[layer.id].insert(job_id);
  }
  return points;
}

void LayerCache::release(const std::string& job_id) {
  std::lock_guard lock(mutex_);
  for (auto entry = users_.begin(); entry != users_.end();) {
    entry->second.erase(job_id);
    if (!entry->second.empty()) {
      ++entry;
      continue;
    }
    const auto point = paths_.layer_mount(entry->first);
    if (unmount(point)) ::rmdir(point.c_str());
    entry = users_.erase(entry);
  }
}

void LayerCache::drop_unused() {
  std::lock_guard lock(mutex_);
  for (const auto& name : list_folder(paths_.layer_mounts())) {
    if (users_.count(name) > 0) continue;
    const auto point = paths_.layer_mount(name);
    if (unmount(point)) ::rmdir(point.c_str());
  }
  for (const auto& name : list_folder(paths_.layer_folder())) {
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".tmp") == 0) {
      ::unlink((paths_.layer_folder() + "/" + name).c_str());
    }
  }
}

std::size_t LayerCache::mounted() const {
  std::lock_guard lock(mutex_);
  return users_.size();
}

}  // namespace flynn::host
