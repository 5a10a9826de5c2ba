#include "one_off.h"

#include <cstdlib>

#include "documents.h"
#include "names.h"
#include "terminal.h"

namespace flynn::cli {

bool use_terminal(json::object& job) {
  if (!is_terminal(0) || !is_terminal(1)) return false;
  const WindowSize size = window_size(1);
  job["tty"] = true;
  job["tty_columns"] = size.columns;
  job["tty_lines"] = size.rows;
  if (!job.contains("env")) job["env"] = json::object();
  json::object& env = job["env"].as_object();
  env["COLUMNS"] = std::to_string(size.columns);
  env["LINES"] = std::to_string(size.rows);
  const char* term = std::getenv("TERM");
  env["TERM"] = term != nullptr ? term : "xterm";
  return true;
}

Result<int> run_one_off(ControllerClient& client, const std::string& app, const json::object& job, const AttachIo& io) {
  auto upgraded = client.attach("/apps/" + percent_encode(app) + "/jobs", job);
  if (!upgraded) return upgraded.error();
  return run_attached(std::move(*upgraded), io);
}

}  // namespace flynn::cli
