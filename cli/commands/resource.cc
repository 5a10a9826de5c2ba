#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

Result<json::array> fetch_list(Session& session, const std::string& path) {
  const auto client = session.controller();
  if (!client) return client.error();
  const auto list = (*client)->get(path);
  if (!list) return list.error();
  return as_array(*list);
}

Result<int> list_providers(Session& session, const Arguments&) {
  const auto providers = fetch_list(session, "/providers");
  if (!providers) return providers.error();
  Table table({"ID", "NAME", "URL"});
  for (const json::value& value : *providers) {
    const json::object& provider = as_object(value);
    table.add({text_of(provider, "id"), text_of(provider, "name"), text_of(provider, "url")});
  }
  session.show(table);
  return 0;
}

Result<int> add_provider(Session& session, const Arguments& arguments) {
  const auto client = session.controller();
  if (!client) return client.error();
  auto begun = session.begin({{"register provider " + arguments.at(0)}, "", "the wire knows no way to remove one"});
  if (!begun) return begun.error();
  const auto created = (*client)->post("/providers", json::object{{"name", arguments.at(0)}, {"url", arguments.at(1)}});
  if (!created) return created.error();
  const std::string name = text_of(as_object(*created), "name");
  return session.done("Created provider " + name + ".\n", {{"provider", name}});
}

Result<int> list_resources(Session& session, const Arguments&) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto resources = fetch_list(session, *path + "/resources");
  if (!resources) return resources.error();
  const auto providers = fetch_list(session, "/providers");
  if (!providers) return providers.error();
  std::map<std::string, std::string> names;
  for (const json::value& provider : *providers) {
    names[text_of(as_object(provider), "id")] = text_of(as_object(provider), "name");
  }
  Table table({"ID", "Provider ID", "Provider Name"});
  for (const json::value& value : *resources) {
    const std::string provider = text_of(as_object(value), "provider");
    table.add({text_of(as_object(value), "id"), provider, names[provider]});
  }
  session.show(table);
  return 0;
}

Error unknown_provider(const std::string& name, const Error& error) {
  if (error.kind != Failure::kNotFound) return error.context("provider " + name);
  return Error{"provider \"" + name + "\" not found", "'flynn provider' lists them.", Failure::kNotFound}.as(
      ErrorCode::kUnknownProvider);
}

Result<int> add(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string provider = arguments.at(0);
  const std::string undo = "flynn -a " + *app + " resource remove " + shell_quoted(provider);
  const std::vector<std::string> steps{"provision a resource of " + provider, "deploy " + *app + " with its variables"};
  if (auto begun = session.begin({steps, undo, ""}); !begun) return begun.error();
  const auto created = (*client)->post("/providers/" + percent_encode(provider) + "/resources",
                                       json::object{{"apps", json::array{*app}}, {"config", json::object()}});
  if (!created) return unknown_provider(provider, created.error());
  const json::object& resource = as_object(*created);

  auto release = current_release(**client, *app);
  if (!release) return release.error();
  json::value& env = (*release)["env"];
  if (!env.is_object()) env = json::object();
  for (const auto& entry : object_of(resource, "env")) env.as_object()[entry.key()] = entry.value();
  const auto id = release_and_deploy(**client, *app, std::move(*release));
  const std::string resource_id = text_of(resource, "id");
  if (!id) {
    return id.error().context("resource " + resource_id + " was created, but its environment could not be deployed");
  }
  if (auto begun = session.begin({steps, undo + " " + resource_id, ""}); !begun) return begun.error();
  return session.done("Created resource " + resource_id + " and release " + *id + ".\n",
                      {{"resource", resource_id}, {"release", *id}});
}

/// The app's only resource of `provider`.
Result<std::string> only_resource(Session& session, const std::string& provider) {
  const auto client = session.controller();
  if (!client) return client.error();
  const auto known = (*client)->get("/providers/" + percent_encode(provider));
  if (!known) return unknown_provider(provider, known.error());
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto resources = fetch_list(session, *path + "/resources");
  if (!resources) return resources.error();
  std::vector<std::string> found;
  for (const json::value& value : *resources) {
    const std::string owner = text_of(as_object(value), "provider");
    if (owner == text_of(as_object(*known), "id")) found.push_back(text_of(as_object(value), "id"));
  }
  if (found.size() == 1) return found.front();
  if (found.empty())
    return failure("the app has no resource of provider \"" + provider + "\"", "'flynn resource' lists them.")
        .as(ErrorCode::kNoResource);
  return usage_error("the app has " + std::to_string(found.size()) + " resources of provider \"" + provider + "\"",
                     "Name one: flynn resource remove " + provider + " <id> ('flynn resource' lists them).");
}

// The command that would have kept the data of a resource of this provider, where there is one.
std::string how_to_keep(const std::string& provider) {
  if (provider == "postgres") return "; 'flynn pg dump' keeps it before";
  if (provider == "redis") return "; 'flynn redis dump' keeps it before";
  return {};
}

Result<int> remove(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const std::string provider = arguments.at(0);
  const auto id = arguments.values.size() > 1 ? Result<std::string>(arguments.at(1)) : only_resource(session, provider);
  if (!id) return id.error();
  auto begun =
      session.begin({{"remove resource " + *id + " with its data", "deploy " + *app + " without its variables"},
                     "",
                     "the data is gone" + how_to_keep(provider)});
  if (!begun) return begun.error();
  const auto removed =
      (*client)->remove("/providers/" + percent_encode(provider) + "/resources/" + percent_encode(*id));
  if (!removed) return removed.error();

  auto release = current_release(**client, *app);
  if (!release) return release.error();
  json::value& env = (*release)["env"];
  if (!env.is_object()) env = json::object();
  bool changed = false;
  const json::object& given = object_of(as_object(*removed), "env");
  for (const auto& entry : given) {
    // What the user has set to something else since is the user's.
    if (text_of(env.as_object(), entry.key()) != text_of(given, entry.key())) continue;
    changed = env.as_object().erase(entry.key()) > 0 || changed;
  }
  if (!changed) {
    return session.done("Deleted resource " + *id + ".\n", {{"resource", *id}});
  }
  const auto created = release_and_deploy(**client, *app, std::move(*release));
  if (!created) return created.error();
  return session.done("Deleted resource " + *id + ", created release " + *created + ".\n",
                      {{"resource", *id}, {"release", *created}});
}

}  // namespace

CommandList resource_commands() {
  return {
      {"provider", "", "List the providers of resources", {}, 0, 0, list_providers},
      {"provider add", "<name> <url>", "Register a provider", {}, 2, 2, add_provider},
      {"resource", "", "List the resources of an app", {}, 0, 0, list_resources},
      {"resource add", "<provider>", "Provision a resource, e.g. postgres, and deploy its environment", {}, 1, 1, add},
      {"resource remove",
       "<provider> [<id>]",
       "Deprovision a resource and take its environment away",
       {},
       1,
       2,
       remove},
  };
}

}  // namespace flynn::cli
