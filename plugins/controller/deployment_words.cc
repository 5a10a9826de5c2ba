#include "deployment_words.h"

namespace flynn::controller {
namespace {

std::string how_it_ended(const json::object& job) {
  const std::string type = text_of(job, "type");
  if (std::string error = text_of(job, "host_error"); !error.empty()) return "the last job of " + type + ": " + error;
  if (member(job, "exit_status") == nullptr) return "";
  return "the last job of " + type + " ended with exit status " + std::to_string(number_of(job, "exit_status"));
}

/// A process that runs and is not up is waited for at its ports.
std::string what_it_lacks(const json::object& job, const json::object& release) {
  const std::string type = text_of(job, "type");
  std::string ports;
  for (const json::value& port : array_of(object_of(object_of(release, "processes"), type), "ports")) {
    if (!port.is_object()) continue;
    ports += (ports.empty() ? "" : ", ") + std::to_string(number_of(port.get_object(), "port"));
  }
  return "the process of " + type + " runs, but does not answer" + (ports.empty() ? "" : " on port " + ports);
}

std::string why_not_placed(Context& context, const std::string& app_id, const std::string& release_id) {
  auto reply = context.door.call("flynn.scheduler/1", "Explain", {{"app_id", app_id}});
  if (!reply) return "";
  for (const json::value& line : array_of(reply->body, "lines")) {
    if (!line.is_string()) continue;
    const std::string text(line.get_string());
    const auto placed = text.find(", placed ");
    const auto why = placed == std::string::npos ? placed : text.find(": ", placed);
    if (text.find(release_id) != std::string::npos && why != std::string::npos) return text.substr(why + 2);
  }
  return "";
}

}  // namespace

std::string why_not_up(Context& context, const std::string& app_id, const json::object& release) {
  const std::string id = text_of(release, "id");
  std::string running;
  bool any = false;
  for (const json::object& job : context.jobs.of_app(app_id)) {
    if (text_of(job, "release") != id || text_of(job, "type").empty()) continue;
    any = true;
    const std::string state = text_of(job, "state");
    if (state == "starting" && running.empty()) running = what_it_lacks(job, release);
    if (state != "down") continue;
    if (std::string ended = how_it_ended(job); !ended.empty()) return ended;
  }
  return any ? running : why_not_placed(context, app_id, id);
}

}  // namespace flynn::controller
