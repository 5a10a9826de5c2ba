/// flynn cluster migrate-domain: the cluster gets another domain, and this user's files follow.
#include <algorithm>
#include <filesystem>
#include <ostream>

#include "../documents.h"
#include "../events.h"
#include "../git_https.h"
#include "../git_repository.h"
#include "../names.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

// As the original client.
constexpr std::chrono::minutes kMigrationTimeout{2};

/// What stands between the user and the port of "scheme://user@HOST:port/path": where it begins and how long it is.
std::pair<std::size_t, std::size_t> host_in(const std::string& url) {
  std::size_t begin = url.find("://");
  if (begin == std::string::npos) return {0, 0};
  begin += 3;
  const std::size_t end = std::min(url.find('/', begin), url.size());
  if (const auto at = url.rfind('@', end); at != std::string::npos && at >= begin) begin = at + 1;
  return {begin, std::min(url.find(':', begin), end) - begin};
}

/// The URL with its host moved; as it is when its host is not of `old_domain`.
std::string moved(const std::string& url, const std::string& old_domain, const std::string& domain) {
  const auto [begin, size] = host_in(url);
  const std::string host = url.substr(begin, size);
  const bool below = host == old_domain || host.ends_with("." + old_domain);
  if (size == 0 || !below) return url;
  std::string out = url;
  return out.replace(begin + size - old_domain.size(), old_domain.size(), domain);
}

/// As the original client: from the environment of the controller's own release.
Result<std::string> present_domain(ControllerClient& client, const Cluster& cluster) {
  const auto release = client.get("/apps/controller/release");
  if (!release && release.error().kind != Failure::kNotFound) return release.error();
  if (release) {
    const std::string domain = text_of(object_of(as_object(*release), "env"), "DEFAULT_ROUTE_DOMAIN");
    if (!domain.empty()) return domain;
  }
  const auto [begin, size] = host_in(cluster.controller_url);
  const std::string host = cluster.controller_url.substr(begin, size);
  if (host.starts_with("controller.")) return host.substr(11);
  return failure("the controller does not tell its domain, and \"" + cluster.controller_url + "\" has none in it",
                 "Use a cluster whose ControllerURL is controller.<domain> ('flynn cluster').");
}

/// Sends the request and waits for its end; answers the migration as the last event has it.
Result<json::object> migrate_and_wait(ControllerClient& client, const std::string& domain,
                                      const std::string& old_domain) {
  auto events = EventStream::open(client, "object_types=domain_migration");
  if (!events) return events.error();
  const auto begun = client.put("/domain", json::object{{"domain", domain}, {"old_domain", old_domain}});
  if (!begun) return begun.error();
  const std::string id = text_of(as_object(*begun), "id");
  const std::string pin = text_of(object_of(as_object(*begun), "tls_cert"), "pin");
  const Deadline deadline = deadline_after(kMigrationTimeout);
  for (;;) {
    const auto event = events->next(deadline);
    if (!event) {
      return event.error().advise(
          "The cluster goes on by itself. Once it answers at the new domain: flynn cluster add -f -p " + pin +
          " <name> " + domain + " <key>");
    }
    const json::object& data = object_of(*event, "data");
    const json::object& migration = object_of(data, "domain_migration");
    if (text_of(migration, "id") != id) continue;
    if (const std::string error = text_of(data, "error"); !error.empty()) return failure(error);
    if (!text_of(migration, "finished_at").empty()) return migration;
  }
}

/// Writes the rc file, and the CA where there was one.
Result<Cluster> follow(Session& session, const std::string& name, const json::object& migration) {
  auto rc = session.rc();
  if (!rc) return rc.error();
  const std::string domain = text_of(migration, "domain"), old_domain = text_of(migration, "old_domain");
  const json::object& certificate = object_of(migration, "tls_cert");
  for (Cluster& cluster : rc->clusters) {
    if (cluster.name != name) continue;
    for (auto url : {&Cluster::controller_url, &Cluster::git_url, &Cluster::image_url, &Cluster::docker_push_url})
      cluster.*url = moved(cluster.*url, old_domain, domain);
    // Without a pin the system's authorities judge the certificate, as before.
    if (!cluster.tls_pin.empty()) cluster.tls_pin = text_of(certificate, "pin");
    const Cluster changed = cluster;
    if (auto saved = save_rc(rc_path(), *rc); !saved) return saved.error();
    const bool git_knows = std::filesystem::exists(ca_path(name)) && changed.git_url.starts_with("https://");
    if (!git_knows) return changed;
    if (auto ready = let_git_use(changed, text_of(certificate, "ca_cert")); !ready) return ready.error();
    return changed;
  }
  return failure(
      "cluster \"" + name + "\" is not in " + rc_path() + " any more",
      "flynn cluster add -p " + text_of(certificate, "pin") + " " + shell_quoted(name) + " " + domain + " <key>");
}

/// The remotes of the repository that the user stands in; others' are the user's to change.
json::array move_remotes(const Cluster& before, const Cluster& after) {
  json::array names;
  auto repository = GitRepository::discover(".");
  if (!repository || before.git_url == after.git_url) return names;
  const auto remotes = repository->remotes();
  if (!remotes) return names;
  for (const GitRemote& remote : *remotes) {
    const std::string app = app_of_remote(before.git_url, remote.url);
    if (!app.empty() && repository->set_remote(remote.name, remote_url(after.git_url, app)))
      names.emplace_back(remote.name);
  }
  return names;
}

Result<int> migrate_domain(Session& session, const Arguments& arguments) {
  const std::string domain = arguments.at(0);
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto old_domain = present_domain(**client, *cluster);
  if (!old_domain) return old_domain.error();
  const std::string question = "Migrate cluster \"" + cluster->name + "\" from " + *old_domain + " to " + domain +
                               "? Its controller, git and every app get names below " + domain +
                               ", and a new certificate; the old names stay.";
  if (!arguments.has("yes") && !session.confirm(question))
    return failure("Nothing was migrated.").as(ErrorCode::kDeclined);
  auto begun =
      session.begin({{"migrate the cluster from " + *old_domain + " to " + domain,
                      "write the new names and the new pin of cluster " + cluster->name + " into " + rc_path()},
                     "flynn -c " + shell_quoted(cluster->name) + " cluster migrate-domain -y " + *old_domain,
                     ""});
  if (!begun) return begun.error();
  const auto migration = migrate_and_wait(**client, domain, *old_domain);
  if (!migration) return migration.error().context("migrate the domain");
  const auto after = follow(session, cluster->name, *migration);
  if (!after) return after.error().context("the cluster is migrated to " + domain + ", but");
  const json::array remotes = move_remotes(*cluster, *after);
  if (after->controller_url == cluster->controller_url)
    session.err() << "ControllerURL " << after->controller_url << " is not below " << *old_domain << " and stays.\n";
  if (after->git_url != cluster->git_url)
    session.err() << "Remotes of other repositories still lead to " << cluster->git_url
                  << "; in each: flynn -a <app> remote add -y\n";
  return session.done(session.out(),
                      "Changed cluster domain from " + text_of(*migration, "old_domain") + " to " +
                          text_of(*migration, "domain") + ".\n",
                      {{"domain", text_of(*migration, "domain")},
                       {"old_domain", text_of(*migration, "old_domain")},
                       {"remotes", remotes}});
}

}  // namespace

CommandList domain_commands() {
  return {
      {"cluster migrate-domain",
       "<domain>",
       "Give the cluster another domain; the old names stay",
       {{'y', "yes", "", "do not ask"}},
       1,
       1,
       migrate_domain},
  };
}

}  // namespace flynn::cli
