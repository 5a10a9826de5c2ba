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

Result<int> save(Session& session, const json::object& app) {
  const auto path = session.app_path();
  const auto client = session.controller();
  const auto saved = (*client)->post(*path + "/meta", app);
  if (!saved) return saved.error();
  return 0;
}

Result<int> list(Session& session, const Arguments&) {
  const auto app = fetch_app(session);
  if (!app) return app.error();
  const json::object& meta = object_of(*app, "meta");
  std::map<std::string, std::string> sorted;
  for (const auto& entry : meta) sorted[std::string(entry.key())] = text_of(meta, entry.key());
  Table table({"KEY", "VALUE"});
  for (const auto& [key, value] : sorted) table.add({key, value});
  table.print(session.out());
  return 0;
}

Result<int> set(Session& session, const Arguments& arguments) {
  auto app = fetch_app(session);
  if (!app) return app.error();
  for (const std::string& text : arguments.values) {
    const auto pair = split_assignment(text);
    if (!pair) return pair.error();
    (*app)["meta"].as_object()[pair->first] = pair->second;
  }
  return save(session, *app);
}

Result<int> unset(Session& session, const Arguments& arguments) {
  auto app = fetch_app(session);
  if (!app) return app.error();
  for (const std::string& key : arguments.values) (*app)["meta"].as_object().erase(key);
  return save(session, *app);
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
