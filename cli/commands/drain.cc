#include <ostream>

#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr std::string_view kSchemes[] = {"syslog://", "syslog+tls://", "http://", "https://"};

Error without_sinks(const Error& error) {
  if (error.kind != Failure::kNotFound) return error;
  return failure("the controller of this cluster knows no log drains", "Upgrade the cluster's controller.")
      .as(ErrorCode::kNotSupported);
}

Result<int> list(Session& session, const Arguments&) {
  const auto client = session.controller();
  if (!client) return client.error();
  const auto sinks = (*client)->get("/sinks");
  if (!sinks) return without_sinks(sinks.error());
  Table table({"ID", "KIND", "CONFIG"});
  for (const json::value& value : as_array(*sinks)) {
    const json::object& sink = as_object(value);
    table.add({text_of(sink, "id"), text_of(sink, "kind"), json::serialize(object_of(sink, "config"))});
  }
  session.show(table);
  return 0;
}

Result<json::object> config_of(const Arguments& arguments) {
  const std::string url = arguments.at(0);
  bool known = false;
  for (const std::string_view scheme : kSchemes) known = known || url.starts_with(scheme);
  if (!known)
    return usage_error("\"" + url + "\" is no address of a log drain",
                       "flynn drains add syslog://logs.example.com:514");
  json::object config{{"url", url}};
  if (arguments.values.size() > 1) config["template"] = arguments.at(1);
  if (arguments.has("use-ids")) config["use_ids"] = true;
  if (arguments.has("insecure")) config["insecure"] = true;
  const std::string format = arguments.value("format");
  if (!format.empty() && format != "rfc6587" && format != "newline")
    return usage_error("--format \"" + format + "\": expected rfc6587 or newline");
  if (!format.empty()) config["format"] = format;
  return config;
}

Result<int> add(Session& session, const Arguments& arguments) {
  const auto config = config_of(arguments);
  if (!config) return config.error();
  const auto client = session.controller();
  if (!client) return client.error();
  Change change{{"send the logs of all apps to " + arguments.at(0)}, "", ""};
  if (auto begun = session.begin(change); !begun) return begun.error();
  const auto created = (*client)->post("/sinks", json::object{{"id", ""}, {"kind", "syslog"}, {"config", *config}});
  if (!created) return without_sinks(created.error());
  const std::string id = text_of(as_object(*created), "id");
  change.undo = "flynn drains remove " + id;
  if (auto begun = session.begin(change); !begun) return begun.error();
  return session.done("Created sink " + id + ".\n", {{"sink", id}});
}

Result<int> remove(Session& session, const Arguments& arguments) {
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string id = arguments.at(0);
  const auto sinks = (*client)->get("/sinks");
  if (!sinks) return without_sinks(sinks.error());
  for (const json::value& value : as_array(*sinks)) {
    const json::object& sink = as_object(value);
    if (text_of(sink, "id") != id) continue;
    auto begun = session.begin({{"send no more logs to " + text_of(object_of(sink, "config"), "url")},
                                "flynn drains add " + shell_quoted(text_of(object_of(sink, "config"), "url")),
                                ""});
    if (!begun) return begun.error();
    if (auto removed = (*client)->remove("/sinks/" + percent_encode(id)); !removed) return removed.error();
    return session.done("Removed sink " + id + ".\n", {{"sink", id}});
  }
  return Error{"log drain " + id + " not found", "'flynn drains' lists them.", Failure::kNotFound};
}

}  // namespace

CommandList drain_commands() {
  const std::vector<Option> options{{0, "use-ids", "", "ids of apps instead of their names"},
                                    {0, "insecure", "", "do not check the certificate of the other side"},
                                    {0, "format", "format", "rfc6587 (the default) or newline"}};
  return {
      {"drains", "", "List where the logs of all apps are sent", {}, 0, 0, list},
      {"drains add", "<url> [<prefix>]", "Send the logs of all apps to a syslog server", options, 1, 2, add},
      {"drains remove", "<id>", "Send no more logs there", {}, 1, 1, remove},
      {"cluster log-sink", "", "The same as 'drains'", {}, 0, 0, list},
      {"cluster log-sink add syslog", "<url> [<prefix>]", "The same as 'drains add'", options, 1, 2, add},
      {"cluster log-sink remove", "<id>", "The same as 'drains remove'", {}, 1, 1, remove},
  };
}

}  // namespace flynn::cli
