// The plugin's configuration and folders, as values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace flynn::builder {

struct BuildConfig {
  std::string buildpacks_dir, session_program, data_dir;
  unsigned git_uid = 5001;
  std::chrono::milliseconds build_timeout{900'000}, silence_notice{60'000}, deploy_timeout{300'000};
  std::int64_t build_memory_bytes = 0, push_bytes_max = 0;
  std::size_t sessions_max = 64;

  std::string repository(const std::string& app_id) const { return data_dir + "/repos/" + app_id + ".git"; }
  std::string cache(const std::string& app_id) const { return data_dir + "/cache/" + app_id; }
};

}  // namespace flynn::builder
