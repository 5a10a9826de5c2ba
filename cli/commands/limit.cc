#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../sizes.h"
#include "families.h"

namespace flynn::cli {
namespace {

std::map<std::string, std::string> limits_of(const json::object& process) {
  std::map<std::string, std::string> sorted;
  const json::object& resources = object_of(process, "resources");
  for (const auto& resource : resources) {
    const std::string type(resource.key());
    const std::int64_t limit = number_of(object_of(resources, type), "limit", -1);
    if (limit >= 0) sorted[type] = format_limit(type, limit);
  }
  return sorted;
}

std::string limits_line(const json::object& process) {
  std::string line;
  for (const auto& [type, text] : limits_of(process)) line += "\t" + type + "=" + text;
  return line;
}

Result<int> list(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto release = require_release(**client, *app);
  if (!release) return release.error();
  const std::string only = arguments.value("process-type");
  json::object all;
  for (const auto& process : object_of(*release, "processes")) {
    if (!only.empty() && only != process.key()) continue;
    all[process.key()] = json::value_from(limits_of(as_object(process.value())));
    session.out() << std::string_view(process.key()) << ":" << limits_line(as_object(process.value())) << '\n';
  }
  if (session.json()) session.show(all);
  return 0;
}

Result<int> set(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  auto release = require_release(**client, *app);
  if (!release) return release.error();

  const std::string type = arguments.at(0);
  json::value& processes = (*release)["processes"];
  if (!processes.is_object()) processes = json::object();
  json::value& process =
      processes.as_object()[type];  // a new type: the builder's `slugbuilder` has limits but no process
  if (!process.is_object()) process = json::object();
  json::value& resources = process.as_object()["resources"];
  if (!resources.is_object()) resources = json::object();
  std::vector<std::string> steps;
  for (std::size_t i = 1; i < arguments.values.size(); ++i) {
    const auto pair = split_assignment(arguments.at(i));
    if (!pair) return pair.error();
    const auto limit = parse_limit(pair->first, pair->second);
    if (!limit) return limit.error();
    steps.push_back("set " + pair->first + " of " + type + " to " + pair->second);
    resources.as_object()[pair->first] = json::object{{"request", nullptr}, {"limit", *limit}};
  }
  if (auto begun = begin_release(session, *app, *release, steps); !begun) return begun.error();
  const auto id = release_and_deploy(**client, *app, std::move(*release));
  if (!id) return id.error();
  return session.done(session.out(), "Created release " + *id + "\n", {{"release", *id}});
}

}  // namespace

CommandList limit_commands() {
  return {
      {"limit",
       "",
       "Show the resource limits of each process type",
       {{'t', "process-type", "type", "of this type only"}},
       0,
       0,
       list},
      {"limit set",
       "<type> <limit>=<value>...",
       "Set limits: memory=1GB, cpu=500 (1/1000), temp_disk=100MB, max_fd=1000",
       {},
       2,
       kAny,
       set},
  };
}

}  // namespace flynn::cli
