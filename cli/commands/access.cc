#include <charconv>
#include <ostream>

#include "../clock_text.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

/// "90" (seconds), "10m", "12h", "30d".
Result<std::int64_t> seconds_in(const std::string& option, const std::string& text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const std::int64_t factor = unit.empty() || unit == "s" ? 1
                              : unit == "m"               ? 60
                              : unit == "h"               ? 3600
                              : unit == "d"               ? 86'400
                                                          : 0;
  if (failed != std::errc() || number < 0 || factor == 0 || number > 100'000'000)
    return usage_error("--" + option + " \"" + text + "\": expected a time such as 90s, 10m, 12h or 30d");
  return number * factor;
}

std::string scope_of(const json::object& key) {
  const std::string app = text_of(key, "app_name");
  return (app.empty() ? "all apps" : "app " + app) + (flag_of(key, "read_only") ? ", only reads" : "");
}

std::string key_path(const std::string& name) { return "/access-keys/" + percent_encode(name); }

Result<int> list(Session& session, const Arguments&) {
  const auto client = session.controller();
  if (!client) return client.error();
  const auto keys = (*client)->get("/access-keys");
  if (!keys) return keys.error();
  Table table({"NAME", "MAY", "CREATED", "EXPIRES", "ID"});
  for (const json::value& value : as_array(*keys)) {
    const json::object& key = as_object(value);
    const std::string expires = text_of(key, "expires_at");
    table.add({text_of(key, "name"), scope_of(key), human_ago(text_of(key, "created_at"), wall_now()),
               expires.empty() ? "never" : expires, text_of(key, "id")});
  }
  session.show(table);
  return 0;
}

Result<int> add(Session& session, const Arguments& arguments) {
  const std::string name = arguments.at(0);
  json::object asked{{"name", name}, {"read_only", arguments.has("read-only")}};
  const std::string app = arguments.value("only-app");
  if (!app.empty()) asked["app"] = app;
  if (const std::string expires = arguments.value("expires"); !expires.empty()) {
    const auto seconds = seconds_in("expires", expires);
    if (!seconds) return seconds.error();
    asked["expires_in"] = *seconds;
  }
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string scope = std::string(app.empty() ? "all apps" : "app " + app) +
                            (arguments.has("read-only") ? ", only to read" : ", to read and to change");
  auto begun =
      session.begin({{"make access key " + name + " for " + scope}, "flynn access revoke " + shell_quoted(name), ""});
  if (!begun) return begun.error();
  const auto made = (*client)->post("/access-keys", asked);
  if (!made) return made.error();
  const std::string key = text_of(as_object(*made), "key");
  session.err() << "This is shown once; keep it as a secret:\n";
  return session.done(session.out(), key + "\n", {{"name", name}, {"key", key}});
}

Result<int> revoke(Session& session, const Arguments& arguments) {
  const std::string name = arguments.at(0);
  const auto client = session.controller();
  if (!client) return client.error();
  const auto key = (*client)->get(key_path(name));
  if (!key) return key.error().context("access key " + name).advise("'flynn access' lists them.");
  auto begun = session.begin({{"revoke access key " + name}, "", "the key is worth nothing any more; make another"});
  if (!begun) return begun.error();
  if (auto removed = (*client)->remove(key_path(name)); !removed) return removed.error();
  return session.done("Access key " + name + " revoked.\n", {{"name", name}});
}

/// Whether the entry in ~/.flynnrc holds the key that was just replaced.
bool is_our_key(const std::string& held, const json::object& rotated) {
  std::string id = text_of(rotated, "id");
  std::erase(id, '-');
  const bool is_root = !held.starts_with("flynn_");
  return id == "root" ? is_root : held.starts_with("flynn_" + id + "_");
}

Result<bool> keep_new_key(Session& session, const json::object& rotated) {
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();
  if (!is_our_key(cluster->key, rotated)) return false;
  auto rc = session.rc();
  if (!rc) return rc.error();
  bool found = false;
  for (Cluster& entry : rc->clusters) {
    if (entry.controller_url != cluster->controller_url || entry.key != cluster->key) continue;
    entry.key = text_of(rotated, "key");
    found = true;
  }
  if (!found) return false;
  if (auto saved = save_rc(rc_path(), *rc); !saved) return saved.error();
  return true;
}

Result<int> rotate(Session& session, const Arguments& arguments) {
  const std::string name = arguments.at(0);
  json::object asked;
  const std::string overlap = arguments.value("overlap");
  if (!overlap.empty()) {
    const auto seconds = seconds_in("overlap", overlap);
    if (!seconds) return seconds.error();
    asked["overlap"] = *seconds;
  }
  const auto client = session.controller();
  if (!client) return client.error();
  auto begun = session.begin({{"make a new secret for access key " + name + "; the old one ends " +
                               (overlap.empty() ? std::string("at once") : "after " + overlap)},
                              "",
                              "the old key does not come back"});
  if (!begun) return begun.error();
  const auto rotated = (*client)->post(key_path(name) + "/rotate", asked);
  if (!rotated) return rotated.error().context("access key " + name);
  const std::string key = text_of(as_object(*rotated), "key");
  const auto kept = keep_new_key(session, as_object(*rotated));
  if (!kept) session.err() << "The new key could not be kept: " << kept.error().what << "\n";
  if (kept && *kept) session.err() << "The entry of this cluster has the new key.\n";
  session.err() << "This is shown once; keep it as a secret:\n";
  return session.done(session.out(), key + "\n", {{"name", name}, {"key", key}});
}

Result<int> show_log(Session& session, const Arguments& arguments) {
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string count = arguments.value("number", "100");
  if (count.empty() || count.size() > 5 || count.find_first_not_of("0123456789") != std::string::npos)
    return usage_error("--number \"" + count + "\": expected 0 to 10000");
  const auto log = (*client)->get("/access-log?count=" + count + "&key=" + percent_encode(arguments.value("key")));
  if (!log) return log.error();
  if (text_of(as_object(*log), "chain") != "whole")
    return failure(text_of(as_object(*log), "error"),
                   "Somebody who can write to the controller's data folder changed it: compare it with a backup.");
  Table table({"AT", "KEY", "STATUS", "METHOD", "PATH"});
  const json::array lines = array_of(as_object(*log), "lines");
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const json::object& use = as_object(*line);
    table.add({text_of(use, "at"), text_of(use, "name"), std::to_string(number_of(use, "status")),
               text_of(use, "method"), text_of(use, "path")});
  }
  session.show(table);
  return 0;
}

}  // namespace

CommandList access_commands() {
  return {
      {"access", "", "List who may use the API of the cluster", {}, 0, 0, list},
      {"access add",
       "<name>",
       "Make a key for a person or program; it is shown once",
       {{0, "only-app", "app", "for this app alone"},
        {0, "read-only", "", "to read without secrets, and to change nothing"},
        {0, "expires", "time", "worth nothing after this time, such as 12h or 30d"}},
       1,
       1,
       add},
      {"access rotate",
       "<name>",
       "Make a new secret for a key, or for the first one of the cluster (root)",
       {{0, "overlap", "time", "how long the old one lives on, such as 10m; default: it ends at once"}},
       1,
       1,
       rotate},
      {"access revoke", "<name>", "End a key", {}, 1, 1, revoke},
      {"access log",
       "",
       "Show each use of the keys, and check that nobody changed the log",
       {{'n', "number", "lines", "how many lines; default 100"}, {0, "key", "name", "of this key alone"}},
       0,
       0,
       show_log},
  };
}

}  // namespace flynn::cli
