// BuildFolder: the folders of one build on this machine, which its job sees as mounts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "build_config.h"
#include "flynn/sdk/json.h"

namespace flynn::builder {

struct BuildResult {
  std::vector<std::string> process_types;
  std::int64_t source_time = 0;
};

/// Removes everything when it goes. Thread: one at a time.
class BuildFolder {
 public:
  /// builds/<build_id> with the app's tree, result, environment files and a cache for this build.
  static Result<BuildFolder> make(const BuildConfig& config, const std::string& build_id, const json::object& env);
  BuildFolder(BuildFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  BuildFolder& operator=(BuildFolder&&) = delete;
  ~BuildFolder();

  /// JobSpec's mounts.
  json::array mounts(const BuildConfig& config, const std::string& app_id) const;
  /// What build.sh wrote, every word of it checked: the app's own code ran in that container.
  Result<BuildResult> result() const;
  /// Exchanges the app's cache for this build's.
  Result<void> keep_cache(const BuildConfig& config, const std::string& app_id) const;
  std::string slug_tree() const { return path_ + "/slug"; }
  std::string slug_file() const { return path_ + "/slug.squashfs"; }

 private:
  explicit BuildFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

bool is_process_type(std::string_view name);
bool is_variable_name(std::string_view name);

}  // namespace flynn::builder
