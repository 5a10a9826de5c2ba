#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../events.h"
#include "../git_repository.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr std::chrono::seconds kDeleteTimeout{60};

/// True if the user wants it, or there is nothing in the way.
Result<bool> may_set_remote(Session& session, const GitRepository& repository, const std::string& name, bool yes) {
  const auto remotes = repository.remotes();
  if (!remotes) return remotes.error();
  for (const GitRemote& remote : *remotes) {
    if (remote.name != name || yes) continue;
    return session.confirm("There is already a git remote called \"" + name + "\" pointing to " + remote.url +
                           ".\nAre you sure you want to replace it?");
  }
  return true;
}

Result<int> create(Session& session, const Arguments& arguments) {
  const std::string name = arguments.at(0);
  if (!name.empty()) {
    if (auto named = check_app_name(name); !named) return named.error();
  }
  const auto client = session.controller();
  if (!client) return client.error();
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();

  const std::string remote = arguments.value("remote", "flynn");
  auto repository = GitRepository::discover(".");
  const bool wants_remote = repository && !remote.empty() && !cluster->git_url.empty();
  if (wants_remote) {
    const auto may = may_set_remote(session, *repository, remote, arguments.has("yes"));
    if (!may) return may.error();
    if (!*may) return failure("App creation aborted.");
  }
  Change change{{"create " + (name.empty() ? "an app" : "app " + name)}, "", ""};
  if (wants_remote) change.steps.push_back("set git remote " + remote);
  if (!name.empty()) change.undo = "flynn -a " + name + " delete";
  if (auto begun = session.begin(change); !begun) return begun.error();
  const auto app = (*client)->post("/apps", json::object{{"name", name}, {"meta", nullptr}});
  if (!app) return app.error();
  const std::string created = text_of(as_object(*app), "name");
  if (wants_remote) {
    const Status set = repository->set_remote(remote, remote_url(cluster->git_url, created));
    if (!set) return set.error().context("created " + created + ", but");
  }
  change.undo = "flynn -a " + created + " delete";
  if (auto begun = session.begin(change); !begun) return begun.error();
  return session.done("Created " + created + "\n", {{"app", created}});
}

/// The one event that ends the deletion.
Result<json::object> delete_and_wait(ControllerClient& client, const std::string& app) {
  auto events = EventStream::open(client, "app_id=" + percent_encode(app) + "&object_types=app_deletion");
  if (!events) return events.error();
  if (auto deleted = client.remove("/apps/" + percent_encode(app)); !deleted) return deleted.error();
  auto event = events->next(deadline_after(kDeleteTimeout));
  if (!event) return event.error();
  json::object data = object_of(*event, "data");
  const std::string error = text_of(data, "error");
  if (!error.empty()) return failure(error);
  return data;
}

void remove_remotes_of(const std::string& git_url, const std::string& app) {
  auto repository = GitRepository::discover(".");
  if (!repository) return;
  const auto remotes = repository->remotes();
  if (!remotes) return;
  for (const GitRemote& remote : *remotes) {
    // A remote that stays behind does no harm; the app is gone either way.
    if (app_of_remote(git_url, remote.url) == app) (void)repository->remove_remote(remote.name);
  }
}

Result<int> remove(Session& session, const Arguments& arguments) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();
  if (auto known = (*client)->get("/apps/" + percent_encode(*app)); !known) return app_not_found(*app, known.error());
  if (!arguments.has("yes") && !session.confirm("Are you sure you want to delete the app \"" + *app + "\"?")) {
    return failure("Nothing was deleted.").as(ErrorCode::kDeclined);
  }
  auto begun = session.begin({{"delete app " + *app + " with its routes, releases and resources"},
                              "",
                              "a deleted app is gone; 'flynn export' keeps one before"});
  if (!begun) return begun.error();
  const auto data = delete_and_wait(**client, *app);
  if (!data) return data.error().context("delete " + *app);
  remove_remotes_of(cluster->git_url, *app);
  const json::object& deletion = object_of(*data, "app_deletion");
  const std::size_t routes = array_of(deletion, "deleted_routes").size();
  const std::size_t releases = array_of(deletion, "deleted_releases").size();
  const std::size_t resources = array_of(deletion, "deleted_resources").size();
  return session.done("Deleted " + *app + " (removed " + std::to_string(routes) + " routes, deleted " +
                          std::to_string(releases) + " releases, deprovisioned " + std::to_string(resources) +
                          " resources)\n",
                      {{"app", *app}, {"routes", routes}, {"releases", releases}, {"resources", resources}});
}

Result<int> list(Session& session, const Arguments&) {
  const auto client = session.controller();
  if (!client) return client.error();
  const auto apps = (*client)->get("/apps");
  if (!apps) return apps.error();
  Table table({"ID", "NAME"});
  for (const json::value& app : as_array(*apps)) {
    table.add({text_of(as_object(app), "id"), text_of(as_object(app), "name")});
  }
  session.show(table);
  return 0;
}

std::string web_url(const json::array& routes) {
  for (const json::value& value : routes) {
    const json::object& route = as_object(value);
    if (text_of(route, "type") != "http") continue;
    const bool https = !object_of(route, "certificate").empty() || !text_of(route, "tls_cert").empty();
    return (https ? "https://" : "http://") + text_of(route, "domain");
  }
  return "";
}

Result<int> info(Session& session, const Arguments&) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();
  const auto app = (*client)->get(*path);
  if (!app) return app_not_found(*session.app(), app.error());
  const std::string name = text_of(as_object(*app), "name");
  const auto release = current_release(**client, name);
  if (!release) return release.error();
  const auto routes = (*client)->get(*path + "/routes");
  if (!routes) return routes.error();

  const std::string git = remote_url(cluster->git_url, name);
  const bool has_git =
      (release->empty() || text_of(object_of(*release, "meta"), "git") == "true") && !cluster->git_url.empty();
  const std::string web = web_url(as_array(*routes));
  if (session.json()) {
    session.show(json::object{{"name", name}, {"git_url", has_git ? git : ""}, {"web_url", web}});
    return 0;
  }
  session.out() << "=== " << name << '\n';
  if (has_git) session.out() << "Git URL:  " << git << '\n';
  if (!web.empty()) session.out() << "Web URL:  " << web << '\n';
  return 0;
}

}  // namespace

CommandList app_commands() {
  return {
      {"create",
       "[<name>]",
       "Create an app, and a git remote for it",
       {{'r', "remote", "remote", "name of the git remote (default: flynn; \"\": none)"},
        {'y', "yes", "", "replace a remote of that name without asking"}},
       0,
       1,
       create},
      {"delete",
       "",
       "Delete an app with its routes, releases and resources",
       {{'y', "yes", "", "do not ask"}},
       0,
       0,
       remove},
      {"apps", "", "List the apps", {}, 0, 0, list},
      {"info", "", "Show where an app is", {}, 0, 0, info},
  };
}

}  // namespace flynn::cli
