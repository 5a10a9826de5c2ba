#include "oci_runtime.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>

#include "child_process.h"
#include "files.h"
#include "flynn/sdk/json.h"
#include "names.h"
#include "oci_config.h"

namespace flynn::host {
namespace {

constexpr auto kCommandTimeout = std::chrono::seconds(30);
constexpr char kTrialId[] = "flynn-trial";

std::string find_program(const std::string& name) {
  for (const char* folder : {"/usr/local/bin/", "/usr/bin/", "/usr/sbin/", "/usr/local/sbin/", "/bin/", "/sbin/"}) {
    const auto path = folder + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Result<ChildOutcome> run(const std::vector<std::string>& command, const std::vector<std::string>& args) {
  ChildPlan plan;
  plan.args = command;
  plan.args.insert(plan.args.end(), args.begin(), args.end());
  plan.env = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  plan.new_session = true;
  return run_child(std::move(plan), Deadline::after(kCommandTimeout));
}

// The runtimes say what went wrong in the last line; runc and crun agree on little more.
std::string words(const std::string& output) {
  const auto last = output.rfind('\n');
  auto text = last == std::string::npos ? output : output.substr(last + 1);
  return text.size() > 500 ? text.substr(0, 500) : text;
}

bool means_absent(const std::string& output) {
  return output.find("does not exist") != std::string::npos || output.find("No such file") != std::string::npos ||
         output.find("not found") != std::string::npos || output.find("already finished") != std::string::npos ||
         output.find("not running") != std::string::npos || output.find("No such process") != std::string::npos;
}

// What the remembered choice depends on: another program, another layout, another trial.
std::string trial_key(const std::string& wanted, const CgroupTree& cgroups) {
  std::string key = wanted + " " + cgroups.layout_name();
  for (const char* name : {"crun", "runc"}) {
    struct stat info {};
    const auto path = find_program(name);
    if (!path.empty() && ::stat(path.c_str(), &info) == 0) key += " " + path + ":" + std::to_string(info.st_mtime);
  }
  return key;
}

Result<void> write_trial_bundle(const std::string& bundle, const std::string& init_program, const CgroupTree& cgroups) {
  const auto root = bundle + "/rootfs";
  if (auto made = make_folders(root, 0755); !made) return made;
  auto program = read_file(init_program, 16u << 20);
  if (!program) return program.error();
  if (auto done = write_file(root + "/init", *program, 0755); !done) return done;
  return write_file(bundle + "/config.json", trial_config(root, cgroups.job_path(kTrialId)));
}

}  // namespace

std::vector<OciRuntime> OciRuntime::installed(const std::string& init_program, const std::string& state_root,
                                              const CgroupTree& cgroups) {
  std::vector<OciRuntime> found;
  for (const char* name : {"crun", "runc"}) {
    const auto program = find_program(name);
    if (program.empty()) continue;
    OciRuntime runtime;
    runtime.name_ = name;
    // crun 1.8 refuses the hybrid layout unless it can't see the v2 tree.
    if (runtime.name_ == "crun" && cgroups.layout() == CgroupLayout::hybrid) {
      runtime.command_ = {init_program, "--runtime"};
    }
    runtime.command_.insert(runtime.command_.end(), {program, "--root", state_root + "/" + name});
    found.push_back(std::move(runtime));
  }
  return found;
}

Result<std::string> OciRuntime::run_trial(const std::string& bundle, const std::string& id) const {
  auto outcome = run(command_, {"run", "--bundle", bundle, id});
  (void)remove(id);
  if (!outcome) return outcome.error();
  if (outcome->status != 0)
    return words(outcome->output).empty() ? "exit status " + std::to_string(outcome->status) : words(outcome->output);
  return std::string();
}

Result<OciRuntime> OciRuntime::probe(const std::string& wanted, const std::string& init_program,
                                     const std::string& scratch, const std::string& state_root,
                                     const CgroupTree& cgroups) {
  if (auto made = make_folders(scratch); !made) return made.error();
  const auto memory = scratch + "/runtime-choice";
  const auto key = trial_key(wanted, cgroups);
  const auto remembered = read_file(memory).value_or("");
  const auto bundle = scratch + "/trial";
  std::string reasons;
  for (auto& runtime : installed(init_program, state_root, cgroups)) {
    if (wanted != "auto" && wanted != runtime.name_) continue;
    if (auto made = make_folders(state_root + "/" + runtime.name_); !made) return made.error();
    runtime.outcome_ = {runtime.name_, reasons};
    if (remembered == key + "\n" + runtime.name_) return runtime;
    if (!remembered.empty() && remembered.rfind(key + "\n", 0) == 0) continue;  // another one was chosen
    if (auto written = write_trial_bundle(bundle, init_program, cgroups); !written) return written.error();
    auto refused = runtime.run_trial(bundle, kTrialId);
    (void)cgroups.remove(kTrialId);
    (void)remove_tree(bundle);
    if (refused && refused->empty()) {
      (void)write_file(memory, key + "\n" + runtime.name_);
      return runtime;
    }
    reasons += (reasons.empty() ? "" : "; ") + runtime.name_ + ": " + (refused ? *refused : refused.error().message);
  }
  return Error{Code::failed_precondition, "no OCI runtime can start a container here (install crun or runc): " +
                                              (reasons.empty() ? "none found" : reasons)};
}

Result<void> OciRuntime::start(const std::string& job_id) const {
  auto outcome = run(command_, {"start", job_id});
  if (!outcome) return outcome.error();
  if (outcome->status != 0) return Error{Code::internal, name_ + " start: " + words(outcome->output)};
  return {};
}

Result<void> OciRuntime::kill(const std::string& job_id, int signal) const {
  auto outcome = run(command_, {"kill", job_id, std::to_string(signal)});
  if (!outcome) return outcome.error();
  if (outcome->status == 0) return {};
  return Error{means_absent(outcome->output) ? Code::not_found : Code::internal,
               name_ + " kill: " + words(outcome->output)};
}

Result<std::string> OciRuntime::state(const std::string& job_id) const {
  auto outcome = run(command_, {"state", job_id});
  if (!outcome) return outcome.error();
  if (outcome->status != 0) {
    return Error{means_absent(outcome->output) ? Code::not_found : Code::internal,
                 name_ + " state: " + words(outcome->output)};
  }
  auto document = parse_json_object(outcome->output);
  if (!document) return document.error();
  return string_or(*document, "status");
}

Result<void> OciRuntime::remove(const std::string& job_id) const {
  auto outcome = run(command_, {"delete", "--force", job_id});
  if (!outcome) return outcome.error();
  if (outcome->status == 0 || means_absent(outcome->output)) return {};
  return Error{Code::internal, name_ + " delete: " + words(outcome->output)};
}

}  // namespace flynn::host
