#include "volume_folders.h"

#include <filesystem>

#include "files.h"
#include "names.h"

namespace flynn::host {

std::uint64_t tree_bytes(const std::string& folder) {
  constexpr auto kOptions = std::filesystem::directory_options::skip_permission_denied;
  std::uint64_t bytes = 0;
  std::error_code failure;
  for (std::filesystem::recursive_directory_iterator entry(folder, kOptions, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    std::error_code gone;
    if (!entry->is_symlink(gone) && entry->is_regular_file(gone))
      if (const auto size = entry->file_size(gone); !gone) bytes += size;
  }
  return bytes;
}

std::vector<Volume> VolumeFolders::list() const {
  std::vector<Volume> volumes;
  for (const auto& app : list_folder(paths_.volumes()))
    for (const auto& name : list_folder(paths_.volumes() + "/" + app))
      volumes.push_back({app + "." + name, app, paths_.volumes() + "/" + app + "/" + name});
  return volumes;
}

Result<Volume> VolumeFolders::find(const std::string& id) const {
  const auto dot = id.rfind('.');
  const auto app = id.substr(0, dot), name = dot == std::string::npos ? std::string() : id.substr(dot + 1);
  if (!is_safe_name(app) || !is_safe_name(name)) return Error{Code::invalid_argument, "id is no volume id"};
  Volume volume{id, app, paths_.volumes() + "/" + app + "/" + name};
  if (!path_exists(volume.path)) return Error{Code::not_found, "there is no volume " + id};
  return volume;
}

Result<void> VolumeFolders::destroy(const std::string& id) const {
  auto volume = find(id);
  if (!volume) return volume.error();
  if (const auto job = running_job_(volume->app_id); !job.empty())
    return Error{Code::failed_precondition, "job " + job + " of the app still runs"};
  return remove_tree(volume->path);
}

}  // namespace flynn::host
