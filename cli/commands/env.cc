#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

/// The environment that the option -t means: a process type's, or the release's.
Result<json::object*> environment_of(json::object& release, const Arguments& arguments) {
  json::object* owner = &release;
  if (arguments.has("process-type")) {
    const std::string type = arguments.value("process-type");
    if (object_of(release, "processes").find(type) == object_of(release, "processes").end()) {
      return failure("process type \"" + type + "\" not found in the current release", "'flynn scale' lists the types.")
          .as(ErrorCode::kUnknownProcessType);
    }
    owner = &release["processes"].as_object()[type].as_object();
  }
  json::value& env = (*owner)["env"];
  if (!env.is_object()) env = json::object();
  return &env.as_object();
}

struct Opened {
  ControllerClient* client;
  std::string app;
  json::object release;
};

Result<Opened> open_release(Session& session) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  auto release = current_release(**client, *app);
  if (!release) return release.error();
  return Opened{*client, *app, std::move(*release)};
}

Result<int> list(Session& session, const Arguments& arguments) {
  auto opened = open_release(session);
  if (!opened) return opened.error();
  const auto env = environment_of(opened->release, arguments);
  if (!env) return env.error();
  std::map<std::string, std::string> sorted;
  for (const auto& entry : **env) sorted[std::string(entry.key())] = text_of(**env, entry.key());
  if (session.json()) return session.show(json::value_from(sorted)), 0;
  for (const auto& [key, value] : sorted) session.out() << key << '=' << value << '\n';
  return 0;
}

Result<int> put_in_force(Session& session, Opened& opened, const std::vector<std::string>& steps,
                         const std::string& undo_first = {}) {
  if (auto begun = begin_release(session, opened.app, opened.release, steps, undo_first); !begun) return begun.error();
  const auto id = release_and_deploy(*opened.client, opened.app, std::move(opened.release));
  if (!id) return id.error();
  return session.done("Created release " + *id + ".\n", {{"release", *id}});
}

Result<int> set(Session& session, const Arguments& arguments) {
  auto opened = open_release(session);
  if (!opened) return opened.error();
  const auto env = environment_of(opened->release, arguments);
  if (!env) return env.error();
  std::vector<std::string> steps;
  std::string undo_first = "flynn -a " + opened->app + " env unset";
  const std::string where = " in the environment of " + opened->app;
  for (const std::string& text : arguments.values) {
    auto pair = split_assignment(text);
    if (!pair) return pair.error();
    undo_first += " " + shell_quoted(pair->first);
    steps.push_back(((*env)->contains(pair->first) ? "change " : "add ") + pair->first + where);
    (**env)[pair->first] = pair->second;
  }
  return put_in_force(session, *opened, steps, undo_first);
}

Result<int> unset(Session& session, const Arguments& arguments) {
  auto opened = open_release(session);
  if (!opened) return opened.error();
  const auto env = environment_of(opened->release, arguments);
  if (!env) return env.error();
  std::vector<std::string> steps;
  for (const std::string& key : arguments.values) {
    if ((*env)->erase(key) > 0) steps.push_back("remove " + key + " from the environment of " + opened->app);
  }
  return put_in_force(session, *opened, steps);
}

Result<int> get(Session& session, const Arguments& arguments) {
  auto opened = open_release(session);
  if (!opened) return opened.error();
  const auto env = environment_of(opened->release, arguments);
  if (!env) return env.error();
  const std::string key = arguments.at(0);
  if (!(*env)->contains(key))
    return Error{"environment variable \"" + key + "\" not found", "'flynn env' lists them.", Failure::kNotFound}.as(
        ErrorCode::kUnknownVariable);
  if (session.json()) return session.show(json::object{{key, text_of(**env, key)}}), 0;
  session.out() << text_of(**env, key) << '\n';
  return 0;
}

}  // namespace

CommandList env_commands() {
  const std::vector<Option> options = {
      {'t', "process-type", "type", "of this process type instead of the whole release"}};
  return {
      {"env", "", "List the environment of an app", options, 0, 0, list},
      {"env set", "<key>=<value>...", "Set variables: makes a release and deploys it", options, 1, kAny, set},
      {"env unset", "<key>...", "Remove variables: makes a release and deploys it", options, 1, kAny, unset},
      {"env get", "<key>", "Print one variable", options, 1, 1, get},
  };
}

}  // namespace flynn::cli
