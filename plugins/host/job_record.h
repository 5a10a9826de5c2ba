// JobRecord: what this machine remembers of a job on disk, so that the next process can adopt its container.
#pragma once

#include <optional>
#include <string>

#include "job_unit.h"
#include "node_paths.h"

namespace flynn::host {

Result<void> save_record(const NodePaths& paths, const JobUnit& unit, const json::object& spec_document);

struct JobRecord {
  JobUnit unit;
  json::object spec_document;
};
Result<JobRecord> load_record(const NodePaths& paths, const std::string& job_id);

/// jobs/status/<host>/<job> (docs/state.md).
json::object status_document(const JobUnit& unit, const std::string& log_path, const std::string& now);
std::string status_key(const std::string& host_id, const std::string& job_id);

}  // namespace flynn::host
