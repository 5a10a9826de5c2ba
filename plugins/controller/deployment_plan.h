/// What a deployment does next, decided from a snapshot and nothing else.
///
/// The planner has no memory: counts in the store and statuses of jobs are all it sees, so a deployment goes on after a
/// crash, a swap or a reboot exactly where it was.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace flynn::controller {

using Counts = std::map<std::string, std::int64_t>;

/// New jobs that may end before the deployment is given up.
inline constexpr std::int64_t kDownMax = 5;

struct DeploymentView {
  std::string strategy;
  std::int64_t batch = 1;     // of "in-batches"
  Counts wanted;              // of the new release: the old counts of the types that it has too
  Counts old_counts;          // formation of the old release, as stored now
  Counts new_counts;          // formation of the new release, as stored now
  Counts old_running;         // jobs of the old release that have not ended
  Counts new_up;              // jobs of the new release that are up
  std::int64_t new_down = 0;  // jobs of the new release that ended since the deployment began
  std::string down_type;      // of the last of them
  std::string down_error;
  std::int64_t waited_ms = 0;  // since the last step
  std::int64_t timeout_ms = 0;
};

struct DeploymentStep {
  enum class Kind { wait, scale, complete, fail };
  Kind kind = Kind::wait;
  Counts old_counts, new_counts;  // for scale: what both formations become
  std::string error;              // for fail
};

DeploymentStep next_step(const DeploymentView& view);

inline std::int64_t count_of(const Counts& counts, const std::string& type) {
  auto found = counts.find(type);
  return found == counts.end() ? 0 : found->second;
}
std::int64_t total_of(const Counts& counts);

}  // namespace flynn::controller
