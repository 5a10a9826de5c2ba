#include <fstream>
#include <ostream>
#include <sstream>

#include "../admin_socket.h"
#include "../documents.h"
#include "../last_words.h"
#include "../plan_text.h"
#include "../session.h"
#include "../table.h"
#include "families.h"
#include "plugin_swap.h"

namespace flynn::cli {
namespace {

constexpr std::size_t kDigestShown = 12;

Result<json::value> ask(const std::string& method, const json::object& params, const Progress& progress = {}) {
  return admin_request(admin_socket_path(), method, params, progress);
}

std::string short_digest(const json::object& document) { return text_of(document, "digest").substr(0, kDigestShown); }

std::string joined(const json::array& words) {
  std::string text;
  for (const json::value& word : words) {
    if (word.is_string()) text += (text.empty() ? "" : ",") + std::string(word.get_string());
  }
  return text;
}

Result<int> list(Session& session, const Arguments&) {
  const auto answer = ask("plugin.list", {});
  if (!answer) return answer.error();
  if (session.json()) {
    session.show(*answer);
    return 0;
  }
  Table table(
      {"SLOT", "NAME", "VERSION", "STATE", "CAGE", "GENERATION", "DIGEST", "CALLS", "ERRORS", "ZOMBIES", "PROVIDES"});
  for (const json::value& value : array_of(as_object(*answer), "plugins")) {
    const json::object& plugin = as_object(value);
    const json::value* zombies = plugin.if_contains("zombies");
    const auto count = zombies != nullptr && zombies->is_array()
                           ? static_cast<std::int64_t>(zombies->get_array().size())
                           : number_of(plugin, "zombies");
    table.add({text_of(plugin, "slot"), text_of(plugin, "name"), text_of(plugin, "version"), state_text(plugin),
               text_of(plugin, "cage"), std::to_string(number_of(plugin, "generation")), short_digest(plugin),
               std::to_string(number_of(plugin, "calls")), std::to_string(number_of(plugin, "errors")),
               std::to_string(count), joined(array_of(plugin, "provides"))});
  }
  table.print(session.out());
  for (const json::value& value : array_of(as_object(*answer), "plugins"))
    if (const std::string note = text_of(as_object(value), "note"); !note.empty())
      session.out() << text_of(as_object(value), "slot") << ": " << note << '\n';
  return 0;
}

bool names_a_file(const std::string& what) { return what.find('/') != std::string::npos || what.ends_with(".so"); }

std::string signature_of(const json::object& plugin) {
  const json::object& signature = object_of(plugin, "signature");
  const std::string key = text_of(signature, "key_name"), words = text_of(signature, "words");
  return text_of(signature, "state") + (key.empty() ? "" : ", key " + key + " (" + text_of(signature, "key") + ")") +
         "; policy " + text_of(signature, "policy") + (flag_of(signature, "refused") ? ": it would be refused" : "") +
         (words.empty() ? "" : ": " + words);
}

Result<int> inspect(Session& session, const Arguments& arguments) {
  const std::string what = arguments.at(0);
  json::object params{{"slot", what}};
  if (names_a_file(what)) {
    const auto path = absolute_path(what);
    if (!path) return path.error();
    params = {{"path", *path}};
  }
  const auto answer = ask("plugin.inspect", params);
  if (!answer) return answer.error();
  const json::object& plugin = as_object(*answer);
  if (session.json()) {
    session.show(*answer);
    return 0;
  }
  const json::object& manifest = object_of(plugin, "manifest");
  Table facts({"name:", text_of(manifest, "name")});
  facts.add({"version:", text_of(manifest, "version")});
  facts.add({"provides:", joined(array_of(manifest, "provides"))});
  facts.add({"requires:", joined(array_of(manifest, "requires"))});
  facts.add({"may:", joined(array_of(manifest, "capabilities"))});
  facts.add({"swap:", text_of(manifest, "swap")});
  if (const auto process = number_of(plugin, "process"); process > 0)
    facts.add({"cage:", "process " + std::to_string(process)});
  else if (!text_of(plugin, "cage").empty())
    facts.add({"cage:", text_of(plugin, "cage")});
  for (const json::value& value : array_of(plugin, "walls")) {
    const json::object& wall = as_object(value);
    facts.add({"wall " + text_of(wall, "name") + ":",
               (flag_of(wall, "stands") ? "stands: " : "MISSING: ") + text_of(wall, "how")});
  }
  facts.add({"digest:", text_of(plugin, "digest")});
  facts.add({"signature:", signature_of(plugin)});
  for (const json::value& problem : array_of(plugin, "problems")) {
    facts.add({"problem:", problem.is_string() ? std::string(problem.get_string()) : json::serialize(problem)});
  }
  facts.print(session.out());
  const json::array& methods = array_of(plugin, "methods");
  if (methods.empty()) return 0;
  session.out() << '\n';
  Table table({"INTERFACE", "METHOD", "CALLS", "ERRORS", "MEAN us", "MAX us"});
  for (const json::value& value : methods) {
    const json::object& method = as_object(value);
    const std::int64_t calls = number_of(method, "calls");
    table.add({text_of(method, "interface"), text_of(method, "method"), std::to_string(calls),
               std::to_string(number_of(method, "errors")),
               std::to_string(calls > 0 ? number_of(method, "total_us") / calls : 0),
               std::to_string(number_of(method, "max_us"))});
  }
  table.print(session.out());
  return 0;
}

/// One line of JSON, for scripts; succeeds when the node answers.
Result<int> status(Session& session, const Arguments&) {
  const auto answer = ask("status", {});
  if (!answer) return answer.error();
  session.show(*answer);
  return 0;
}

/// A JSON argument, or with a leading @ the file that has it.
Result<json::object> json_argument(const std::string& text) {
  std::string content = text;
  if (text.starts_with('@')) {
    std::ifstream file(text.substr(1));
    if (!file) return failure("read " + text.substr(1) + ": cannot open the file");
    std::ostringstream all;
    all << file.rdbuf();
    content = all.str();
  }
  boost::system::error_code code;
  const json::value value = json::parse(content, code);
  if (code) return usage_error("not JSON: " + code.message());
  if (!value.is_object()) return usage_error("expected a JSON object: {\"member\": …}");
  return value.get_object();
}

Result<int> configure(Session& session, const Arguments& arguments) {
  const auto config = json_argument(arguments.at(1));
  if (!config) return config.error().context("configuration");
  json::object params{{"slot", arguments.at(0)}, {"config", *config}};
  if (auto added = add_lock_wait(arguments, params); !added) return added.error();
  const std::string slot = arguments.at(0);
  auto begun =
      session.begin({{"give " + slot + " a new configuration"},
                     "flynn plugin configure " + slot + " <the former one; 'flynn plugin history' has the record>",
                     ""});
  if (!begun) return begun.error();
  const LastWords words(words_when_left(slot));
  const auto answer = ask("plugin.configure", params, progress_to(session));
  if (!answer) return with_record(answer.error(), slot, "The former configuration is in force.");
  const bool live = text_of(as_object(*answer), "applied") == "live";
  return session.done(
      slot + (live ? " took the configuration while running.\n" : " was swapped to take the configuration.\n"),
      {{"applied", live ? "live" : "swap"}});
}

Result<int> start(Session& session, const Arguments& arguments) {
  auto begun = session.begin({{"start " + arguments.at(0)}, "", "a slot stops by its failures only"});
  if (!begun) return begun.error();
  const auto answer = ask("plugin.start", {{"slot", arguments.at(0)}});
  if (!answer) return answer.error();
  const std::string state = text_of(as_object(*answer), "state");
  return session.done(arguments.at(0) + ": " + state + "\n", {{"state", state}});
}

Result<int> call(Session& session, const Arguments& arguments) {
  const auto body = arguments.values.size() > 2 ? json_argument(arguments.at(2)) : Result<json::object>(json::object());
  if (!body) return body.error().context("body");
  auto begun = session.begin({{"call " + arguments.at(1) + " of " + arguments.at(0)}, "", "depends on the method"});
  if (!begun) return begun.error();
  const auto answer = ask("call", {{"interface", arguments.at(0)}, {"method", arguments.at(1)}, {"body", *body}});
  if (!answer) return answer.error();
  const json::value* reply = as_object(*answer).if_contains("body");
  session.show(reply != nullptr ? *reply : *answer);
  return 0;
}

}  // namespace

CommandList plugin_commands() {
  return {
      {"plugin list", "", "Show and replace the plugins of the flynn-host on this machine", {}, 0, 0, list},
      {"plugin inspect", "<slot>|<file.so>", "Show a plugin's manifest, problems and calls", {}, 1, 1, inspect},
      {"plugin swap", "<slot> <file.so>", "Replace a running plugin without a stop", swap_options(), 2, 2, swap_plugin},
      {"plugin watch", "[<slot>]", "Show every phase of every change while it runs", {}, 0, 1, watch_plugins},
      {"plugin status", "", "Show as JSON whether the node and its plugins are healthy", {}, 0, 0, status},
      {"plugin rollback",
       "<slot>",
       "Return to the version before the last swap, also of one on canary or probation",
       {kLockWait},
       1,
       1,
       roll_back_plugin},
      {"plugin configure", "<slot> <json>|@<file>", "Give a plugin a new configuration", {kLockWait}, 2, 2, configure},
      {"plugin start", "<slot>", "Start a plugin that failed or crashed too often", {}, 1, 1, start},
      {"plugin call",
       "<interface> <method> [<json>|@<file>]",
       "Call a method through the door as the operator",
       {},
       2,
       3,
       call},
  };
}

}  // namespace flynn::cli
