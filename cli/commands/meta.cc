#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

Result<json::object> fetch_app(Session& session) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto app = (*client)->get(*path);
  if (!app) return app.error();
  json::object object = as_object(*app);
  if (!object["meta"].is_object()) object["meta"] = json::object();
  return object;
}

/// `steps` and the command lines that take each back, joined.
Result<int> save(Session& session, const json::object& app, Change change) {
  const auto path = session.app_path();
  if (auto begun = session.begin(std::move(change)); !begun) return begun.error();
  const auto client = session.controller();
  const auto saved = (*client)->post(*path + "/meta", app);
  if (!saved) return saved.error();
  return session.done("");
}

Result<int> list(Session& session, const Arguments&) {
  const auto app = fetch_app(session);
  if (!app) return app.error();
  const json::object& meta = object_of(*app, "meta");
  std::map<std::string, std::string> sorted;
  for (const auto& entry : meta) sorted[std::string(entry.key())] = text_of(meta, entry.key());
  Table table({"KEY", "VALUE"});
  for (const auto& [key, value] : sorted) table.add({key, value});
  session.show(table);
  return 0;
}

/// Adds to the undo of `change` what gives `key` the value back that it has in `meta`.
void note_change(Change& change, const std::string& prefix, const json::object& meta, const std::string& key) {
  if (!change.undo.empty()) change.undo += " && ";
  change.undo += prefix + (meta.contains(key) ? " meta set " + shell_quoted(key + "=" + text_of(meta, key))
                                              : " meta unset " + shell_quoted(key));
}

Result<int> set(Session& session, const Arguments& arguments) {
  auto app = fetch_app(session);
  if (!app) return app.error();
  Change change;
  const std::string prefix = "flynn -a " + *session.app();
  for (const std::string& text : arguments.values) {
    const auto pair = split_assignment(text);
    if (!pair) return pair.error();
    note_change(change, prefix, object_of(*app, "meta"), pair->first);
    change.steps.push_back("set " + pair->first + " to " + pair->second);
    (*app)["meta"].as_object()[pair->first] = pair->second;
  }
  return save(session, *app, std::move(change));
}

Result<int> unset(Session& session, const Arguments& arguments) {
  auto app = fetch_app(session);
  if (!app) return app.error();
  Change change;
  for (const std::string& key : arguments.values) {
    if (!object_of(*app, "meta").contains(key)) continue;
    note_change(change, "flynn -a " + *session.app(), object_of(*app, "meta"), key);
    change.steps.push_back("remove " + key);
    (*app)["meta"].as_object().erase(key);
  }
  return save(session, *app, std::move(change));
}

}  // namespace

CommandList meta_commands() {
  return {
      {"meta", "", "List the metadata of an app", {}, 0, 0, list},
      {"meta set", "<key>=<value>...", "Set metadata", {}, 1, kAny, set},
      {"meta unset", "<key>...", "Remove metadata", {}, 1, kAny, unset},
  };
}

}  // namespace flynn::cli
