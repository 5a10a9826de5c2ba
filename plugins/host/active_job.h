// ActiveJob: our record of a job as Flynn's host tells it. Pure.
#pragma once

#include <sys/types.h>

#include <string>

#include "job_unit.h"

namespace flynn::host {

/// The integers of the wire.
enum class WireStatus { starting = 0, running = 1, done = 2, crashed = 3, failed = 4 };

/// Ended: exit status 0 is done, another one crashed; without one, what had started crashed, what could not start
/// failed, and what was stopped before it started is done.
WireStatus wire_status(const JobUnit& unit);

/// `pid`: of the job's PID 1, 0 when it has none.
json::object active_job(const JobUnit& unit, const std::string& host_id, pid_t pid);

/// Flynn's job ids begin with the host's: "node1-<uuid>".
std::string wire_job_id(const std::string& host_id, const std::string& job_id);
/// Either form to ours; invalid_argument when it is no job id.
Result<std::string> job_id_of_wire(const std::string& host_id, const std::string& given);

inline constexpr char kMetaApp[] = "flynn-controller.app", kMetaAppName[] = "flynn-controller.app_name",
                      kMetaRelease[] = "flynn-controller.release", kMetaType[] = "flynn-controller.type";
inline constexpr std::int64_t kNanosPerMilli = 1'000'000;  // durations of the wire are nanoseconds

}  // namespace flynn::host
