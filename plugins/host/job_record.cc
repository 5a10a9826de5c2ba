#include "job_record.h"

#include "files.h"

namespace flynn::host {
namespace {

std::string file_of(const NodePaths& paths, const std::string& job_id) { return paths.job(job_id) + "/record.json"; }

}  // namespace

Result<void> save_record(const NodePaths& paths, const JobUnit& unit, const json::object& spec_document) {
  if (auto made = make_folders(paths.job(unit.spec.id)); !made) return made;
  json::object document{{"v", 1},
                        {"spec", spec_document},
                        {"phase", static_cast<int>(unit.phase)},
                        {"address", unit.address},
                        {"error", unit.error},
                        {"stop_requested", unit.stop_requested},
                        {"withdrawn", unit.withdrawn},
                        {"created_at", unit.created_at},
                        {"started_at", unit.started_at},
                        {"up_at", unit.up_at},
                        {"ended_at", unit.ended_at}};
  if (unit.exit_status) document["exit_status"] = *unit.exit_status;
  return write_file(file_of(paths, unit.spec.id), json::serialize(document));
}

Result<JobRecord> load_record(const NodePaths& paths, const std::string& job_id) {
  auto text = read_file(file_of(paths, job_id));
  if (!text) return text.error();
  auto document = parse_json_object(*text);
  if (!document) return document.error().context(file_of(paths, job_id));
  const auto* spec_document = find_object(*document, "spec");
  if (spec_document == nullptr) return Error{Code::invalid_argument, file_of(paths, job_id) + " has no spec"};
  auto spec = parse_job_spec(*spec_document);
  if (!spec) return spec.error();
  JobRecord record;
  record.spec_document = *spec_document;
  auto& unit = record.unit;
  unit.spec = std::move(*spec);
  unit.phase = static_cast<Phase>(int_or(*document, "phase"));
  unit.address = string_or(*document, "address");
  unit.error = string_or(*document, "error");
  unit.stop_requested = bool_or(*document, "stop_requested");
  unit.withdrawn = bool_or(*document, "withdrawn");
  unit.created_at = string_or(*document, "created_at");
  unit.started_at = string_or(*document, "started_at");
  unit.up_at = string_or(*document, "up_at");
  unit.ended_at = string_or(*document, "ended_at");
  if (auto status = find_int(*document, "exit_status")) unit.exit_status = static_cast<int>(*status);
  return record;
}

std::string status_key(const std::string& host_id, const std::string& job_id) {
  return "jobs/status/" + host_id + "/" + job_id;
}

json::object status_document(const JobUnit& unit, const std::string& log_path, const std::string& now) {
  const auto& spec = unit.spec;
  json::object document{{"v", 1},
                        {"id", spec.id},
                        {"host_id", spec.host_id},
                        {"app_id", spec.app_id},
                        {"app_name", spec.app_name},
                        {"release_id", spec.release_id},
                        {"type", spec.type},
                        {"kind", spec.kind},
                        {"args", json::array(spec.args.begin(), spec.args.end())},
                        {"meta", spec.meta},
                        {"state", state_name(unit.phase)},
                        {"addr", unit.address},
                        {"error", unit.error},
                        {"oom", unit.oom},
                        {"log_path", spec.log ? log_path : std::string()},
                        {"created_at", unit.created_at},
                        {"started_at", unit.started_at},
                        {"up_at", unit.up_at},
                        {"ended_at", unit.ended_at},
                        {"updated_at", now}};
  if (unit.exit_status) document["exit_status"] = *unit.exit_status;
  return document;
}

}  // namespace flynn::host
