#include <algorithm>
#include <ostream>

#include "../clock_text.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

std::string job_id(const json::object& job) {
  const std::string id = text_of(job, "id");
  return id.empty() ? text_of(job, "uuid") : id;
}

std::string command_of(const json::object& job) {
  std::string text;
  for (const json::value& word : array_of(job, "args")) {
    if (!word.is_string()) continue;
    text += (text.empty() ? "" : " ") + std::string(word.get_string());
  }
  return text;
}

Result<int> list(Session& session, const Arguments& arguments) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto answer = (*client)->get(*path + "/jobs");
  if (!answer) return answer.error();

  std::vector<json::object> jobs;
  for (const json::value& value : as_array(*answer)) {
    const std::string state = text_of(as_object(value), "state");
    if (arguments.has("all") || state == "up" || state == "pending") jobs.push_back(as_object(value));
  }
  std::stable_sort(jobs.begin(), jobs.end(), [](const json::object& a, const json::object& b) {
    return text_of(a, "created_at") < text_of(b, "created_at");
  });
  if (arguments.has("quiet") && !session.json()) {
    for (const json::object& job : jobs) session.out() << job_id(job) << '\n';
    return 0;
  }
  const bool with_command = arguments.has("command") || session.json();
  Table table(with_command ? std::vector<std::string>{"ID", "TYPE", "STATE", "CREATED", "RELEASE", "COMMAND"}
                           : std::vector<std::string>{"ID", "TYPE", "STATE", "CREATED", "RELEASE"});
  for (const json::object& job : jobs) {
    const std::string type = text_of(job, "type");
    std::vector<std::string> row{job_id(job), type.empty() ? "run" : type, text_of(job, "state"),
                                 human_ago(text_of(job, "created_at"), wall_now()), text_of(job, "release")};
    if (with_command) row.push_back(command_of(job));
    table.add(std::move(row));
  }
  session.show(table);
  return 0;
}

Result<int> kill(Session& session, const Arguments& arguments) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  int code = 0;
  Change change{{}, "", "the job has ended; one of a formation is replaced by a new one"};
  for (const std::string& id : arguments.values) change.steps.push_back("stop job " + id);
  if (auto begun = session.begin(std::move(change)); !begun) return begun.error();
  json::array ended;
  json::array failed;
  for (const std::string& id : arguments.values) {
    const auto killed = (*client)->remove(*path + "/jobs/" + percent_encode(id));
    (killed ? ended : failed).emplace_back(id);
    if (killed) {
      session.err() << "Job " << id << " killed.\n";
    } else {
      session.err() << "ERROR: could not kill job " << id << ": " << killed.error().what << '\n';
      code = 1;
    }
  }
  if (session.json()) session.done("", {{"killed", std::move(ended)}, {"failed", std::move(failed)}});
  if (code != 0 && !session.json()) {
    return Error{"not every job was killed", "'flynn ps' lists the jobs that run."}.as(ErrorCode::kJobNotFound);
  }
  return code;
}

}  // namespace

CommandList job_commands() {
  return {
      {"ps",
       "",
       "List the jobs of an app",
       {{'a', "all", "", "also those that are starting or have ended"},
        {'c', "command", "", "show what they run"},
        {'q', "quiet", "", "ids only"}},
       0,
       0,
       list},
      {"kill", "<job>...", "Stop jobs", {}, 1, kAny, kill},
  };
}

}  // namespace flynn::cli
