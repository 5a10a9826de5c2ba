#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../one_off.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

// In an app that was pushed by git this gives the job the environment of its buildpack.
constexpr const char* kRunnerInit = "/runner/init";

Result<json::object> release_to_run(ControllerClient& client, const std::string& app, const std::string& named) {
  if (named.empty()) return require_release(client, app);
  const auto release = client.get("/releases/" + percent_encode(named));
  if (!release) return release.error();
  return as_object(*release);
}

json::array arguments_for(const json::object& release, const Arguments& arguments) {
  json::array args;
  if (arguments.has("entrypoint")) args.emplace_back(arguments.value("entrypoint"));
  for (const std::string& word : arguments.values) args.emplace_back(word);
  const bool pushed = text_of(object_of(release, "meta"), "git") == "true";
  if (pushed && !args.empty() && args.front() != kRunnerInit) args.insert(args.begin(), kRunnerInit);
  return args;
}

Result<int> run(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto release = release_to_run(**client, *app, arguments.value("release"));
  if (!release) return release.error();
  if (release->contains("plugin"))
    return failure(*app + " is a plugin of the node: it has no container to run a command in", "flynn plugin list")
        .as(ErrorCode::kValidation);
  if (array_of(*release, "artifacts").empty() && text_of(*release, "artifact").empty()) {
    return failure("App release has no image, push a release first", "git push flynn master").as(ErrorCode::kNoRelease);
  }
  json::object job{
      {"release", text_of(*release, "id")}, {"release_env", true}, {"args", arguments_for(*release, arguments)}};
  std::string command;
  for (const std::string& word : arguments.values) command += " " + shell_quoted(word);
  auto begun = session.begin({{"run" + command + " in a job of " + *app}, "", "what a command has done stays"});
  if (!begun) return begun.error();
  const bool detached = arguments.has("detached");
  if (!detached && !arguments.has("enable-log")) job["disable_log"] = true;
  if (detached) {
    const auto started = (*client)->post("/apps/" + percent_encode(*app) + "/jobs", job);
    if (!started) return started.error();
    const std::string id = text_of(as_object(*started), "id");
    (void)session.begin({{"started job " + id}, "flynn -a " + *app + " kill " + id, ""});
    return session.done(id + "\n", {{"job", id}});
  }
  AttachIo io{.stdin_fd = 0};
  io.tty = use_terminal(job);
  session.shown();
  return run_one_off(**client, *app, job, io);
}

}  // namespace

CommandList run_commands() {
  return {
      {"run",
       "<command> [<argument>...]",
       "Run a command in a job of its own",
       {{'d', "detached", "", "print its id and leave it"},
        {'r', "release", "id", "in this release (default: the current one)"},
        {'e', "entrypoint", "program", "put this before the command"},
        {'l', "enable-log", "", "keep its output in the app's log as well"}},
       1,
       kAny,
       run,
       OptionOrder::kBeforeArguments},
  };
}

}  // namespace flynn::cli
