// JobSpec documents (docs/state.md) from an app, its release and its artifacts.
#pragma once

#include <string>

#include "cell_state.h"
#include "placement.h"

namespace flynn::scheduler {

inline constexpr std::int64_t kMemoryBytesDefault = 1LL << 30;
inline constexpr std::int64_t kCpuMillisDefault = 1000;
inline constexpr std::int64_t kPidsMaxDefault = 1024;
inline constexpr std::int64_t kMaxFdDefault = 10'000;
inline constexpr std::int64_t kUidDefault = 5000;

/// `request` is a NewJob (interfaces/scheduler.md); kind "service" takes args, ports, volumes and resources of the
/// release's process type. Without host_id: placement adds it. invalid_argument names a member; not_found an app or
/// release; failed_precondition: nothing to run (no artifacts, no command). Pure.
Result<json::object> make_job_spec(const CellState& cell, const json::object& request, const std::string& job_id,
                                   const std::string& created_at);

/// Checks and completes a JobSpec that another scheduler made.
Result<json::object> complete_job_spec(json::object spec, const std::string& created_at);

Request placement_request(const json::object& spec);

}  // namespace flynn::scheduler
