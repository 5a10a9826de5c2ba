#include "deployment_plan.h"

#include <algorithm>

namespace flynn::controller {
namespace {

using Kind = DeploymentStep::Kind;

DeploymentStep wait() { return {}; }

DeploymentStep scale(Counts old_counts, Counts new_counts) {
  return {Kind::scale, std::move(old_counts), std::move(new_counts), ""};
}

bool all_up(const DeploymentView& view) {
  return std::all_of(view.wanted.begin(), view.wanted.end(),
                     [&](const auto& entry) { return count_of(view.new_up, entry.first) >= entry.second; });
}

bool has_target(const DeploymentView& view) {
  return std::all_of(view.wanted.begin(), view.wanted.end(),
                     [&](const auto& entry) { return count_of(view.new_counts, entry.first) == entry.second; });
}

DeploymentStep all_at_once(const DeploymentView& view) {
  if (!has_target(view)) return scale(view.old_counts, view.wanted);
  return all_up(view) ? DeploymentStep{Kind::complete, {}, {}, ""} : wait();
}

/// One type moves over in steps of `batch`; true when it has nothing left to do and the next type may begin.
bool move_type(const DeploymentView& view, const std::string& type, std::int64_t batch, bool stop_first,
               DeploymentStep& step) {
  std::int64_t want = count_of(view.wanted, type);
  std::int64_t fresh = count_of(view.new_counts, type);
  std::int64_t old = count_of(view.old_counts, type);
  Counts old_counts = view.old_counts;
  Counts new_counts = view.new_counts;

  step = wait();
  if (count_of(view.new_up, type) < std::min(fresh, want)) return false;
  if (fresh > want) {
    new_counts[type] = want;
    step = scale(old_counts, new_counts);
    return false;
  }
  std::int64_t keep = std::max<std::int64_t>(want - fresh, 0);  // old jobs that still carry the load
  if (stop_first && fresh < want) keep = std::max<std::int64_t>(keep - batch, 0);
  if (old > keep) {
    old_counts[type] = keep;
    step = scale(old_counts, new_counts);
    return false;
  }
  if (fresh == want) return true;
  if (count_of(view.old_running, type) > old) return false;
  new_counts[type] = std::min(want, fresh + batch);
  step = scale(old_counts, new_counts);
  return false;
}

DeploymentStep type_by_type(const DeploymentView& view, std::int64_t batch, bool stop_first) {
  DeploymentStep step;
  for (const auto& [type, count] : view.wanted) {  // a map: alphabetical
    if (!move_type(view, type, batch, stop_first, step)) return step;
  }
  // What is left belongs to types that the new release no longer has: completing deletes it.
  return {Kind::complete, {}, {}, ""};
}

}  // namespace

std::int64_t total_of(const Counts& counts) {
  std::int64_t total = 0;
  for (const auto& [type, count] : counts) total += count;
  return total;
}

DeploymentStep next_step(const DeploymentView& view) {
  if (view.new_down > kDownMax) {
    std::string why = view.down_error.empty() ? "it ended soon after its start; see the app's log" : view.down_error;
    return {Kind::fail, {}, {}, view.down_type + " job failed to start: " + why};
  }
  DeploymentStep step;
  if (view.strategy == "one-by-one" || view.strategy == "discoverd-meta") {
    step = type_by_type(view, 1, false);
  } else if (view.strategy == "one-down-one-up" || view.strategy == "sirenia") {
    step = type_by_type(view, 1, true);
  } else if (view.strategy == "in-batches") {
    step = type_by_type(view, std::max<std::int64_t>(view.batch, 1), false);
  } else {
    step = all_at_once(view);
  }
  if (step.kind == Kind::wait && view.timeout_ms > 0 && view.waited_ms >= view.timeout_ms) {
    std::string missing;
    for (const auto& [type, count] : view.new_counts) {
      std::int64_t up = count_of(view.new_up, type);
      if (up < count) missing += " " + type + " has " + std::to_string(up) + " of " + std::to_string(count) + " up;";
    }
    return {Kind::fail,
            {},
            {},
            "timed out after " + std::to_string(view.timeout_ms / 1000) + " s waiting for jobs:" +
                (missing.empty() ? " old jobs have not stopped;" : missing) + " see the app's log"};
  }
  return step;
}

}  // namespace flynn::controller
