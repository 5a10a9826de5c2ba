// The plugin's configuration and folder, as values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace flynn::images {

struct ImagesConfig {
  std::string data_dir;
  std::int64_t layer_bytes_max = std::int64_t{8} << 30;
  int conversions_max = 2, uploads_max = 8;
  std::chrono::milliseconds convert_timeout{540'000};
};

}  // namespace flynn::images
