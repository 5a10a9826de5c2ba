// What the builder asks of the controller, the blobstore, the scheduler and the logs, through the door.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flynn/sdk/host.h"
#include "slug_packer.h"

namespace flynn::builder {

/// Thread: [any]. Borrows the door.
class PlatformApi {
 public:
  explicit PlatformApi(Door& door) : door_(door) {}

  /// The body of a 200. Another status becomes the code that fits, with the controller's own words.
  Result<json::value> controller(std::string_view method, std::string_view path, json::value body = nullptr);
  /// nullopt for a 404.
  Result<std::optional<json::object>> find(std::string_view path);
  Result<json::object> post(std::string_view path, json::object body);
  /// Layers of a member of `stacks` in cluster/config.
  Result<json::array> stack(std::string_view name);
  Result<void> upload(const Slug& slug, const std::string& file);
  /// The newest log lines of a job, oldest first; none when they can't be had.
  std::vector<std::string> last_lines(const std::string& app_id, const std::string& job_id, int count);

  Door& door() { return door_; }

 private:
  Door& door_;
};

}  // namespace flynn::builder
