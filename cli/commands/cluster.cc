#include <Poco/URI.h>

#include <ostream>

#include "../git_https.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

// Where git listens by ssh unless the cluster says otherwise.
constexpr const char* kGitSshPort = "2222";

std::string or_none(const std::string& url) { return url.empty() ? "(none)" : url; }

Result<int> list_clusters(Session& session, const Arguments&) {
  const auto rc = session.rc();
  if (!rc) return rc.error();
  Table table({"NAME", "CONTROLLER URL", "GIT URL", "IMAGE URL"});
  for (const Cluster& cluster : rc->clusters) {
    table.add({cluster.name, cluster.controller_url, or_none(cluster.git_url), or_none(cluster.image_url),
               rc->default_cluster()->name == cluster.name ? "(default)" : ""});
  }
  session.show(table);
  return 0;
}

/// URLs from what the user calls the domain: `example.com`, `https://controller.example.com`, or, for a cluster
/// without TLS, an http:// URL of its controller.
Cluster cluster_from(const std::string& name, std::string domain, const std::string& key) {
  Cluster cluster;
  cluster.name = name;
  cluster.key = key;
  while (domain.ends_with('/')) domain.pop_back();
  if (domain.starts_with("http://")) {
    cluster.controller_url = domain;
    std::string host = Poco::URI(domain).getHost();
    if (host.starts_with("controller.")) host.erase(0, 11);
    if (is_localhost_name(host)) host = "127.0.0.1";  // ssh asks the system's resolver, which may not know .localhost
    cluster.git_url = "ssh://git@" + host + ":" + kGitSshPort;
    return cluster;
  }
  for (const std::string_view prefix : {"https://", "controller."}) {
    if (domain.starts_with(prefix)) domain.erase(0, prefix.size());
  }
  cluster.controller_url = "https://controller." + domain;
  cluster.git_url = "https://git." + domain;
  cluster.image_url = "https://images." + domain;
  return cluster;
}

/// git checks https remotes by itself: give it the cluster's CA, and this program for the key.
Status configure_git(ControllerClient& client, const Cluster& cluster) {
  const auto certificate = client.get_text("/ca-cert");
  if (!certificate)
    return certificate.error()
        .context("fetch the CA certificate")
        .advise("Check domain, key and pin; with --no-git nothing is fetched.");
  return let_git_use(cluster, *certificate);
}

/// An ssh remote needs no set-up; a request with the key finds a wrong one now rather than later.
Status check_key(ControllerClient& client) {
  const auto apps = client.get("/apps");
  if (!apps) return apps.error();
  return Done{};
}

Result<int> add(Session& session, const Arguments& arguments) {
  Cluster cluster = cluster_from(arguments.at(0), arguments.at(1), arguments.at(2));
  cluster.tls_pin = arguments.value("tls-pin");
  cluster.git_url = arguments.value("git-url", cluster.git_url);
  cluster.image_url = arguments.value("image-url", cluster.image_url);
  if (cluster.name.empty() || cluster.name.find('/') != std::string::npos) {
    return usage_error("\"" + cluster.name + "\" is not a name for a cluster");
  }
  auto rc = session.rc();
  if (!rc) return rc.error();
  Change change{{"add cluster " + cluster.name + " at " + cluster.controller_url},
                "flynn cluster remove " + shell_quoted(cluster.name),
                ""};
  if (rc->find(cluster.name) != nullptr) change = {change.steps, "", "the entry that was replaced is not kept"};
  if (auto begun = session.begin(std::move(change)); !begun) return begun.error();
  if (auto added = add_cluster(*rc, cluster, arguments.has("force")); !added) return added.error();
  if (!arguments.has("no-git")) {
    ControllerClient client({cluster.controller_url, cluster.key, cluster.tls_pin});
    const bool https = cluster.git_url.starts_with("https://");
    if (auto ready = https ? configure_git(client, cluster) : check_key(client); !ready) return ready.error();
  }
  if (arguments.has("default") || rc->clusters.size() == 1) rc->default_name = cluster.name;
  if (auto saved = save_rc(rc_path(), *rc); !saved) return saved.error();
  return session.done("Cluster \"" + cluster.name + "\" added.\n");
}

Result<int> remove(Session& session, const Arguments& arguments) {
  auto rc = session.rc();
  if (!rc) return rc.error();
  const std::string name = arguments.at(0);
  const std::string old_default = rc->default_name;
  auto begun =
      session.begin({{"forget cluster " + name}, "", "its key was in the entry; 'flynn cluster add' needs it"});
  if (!begun) return begun.error();
  if (!rc->remove(name)) return session.json() ? session.done("") : 0;
  if (auto saved = save_rc(rc_path(), *rc); !saved) return saved.error();
  std::string words = "Cluster \"" + name + "\" removed";
  if (old_default == name && !rc->default_name.empty()) {
    words += " and \"" + rc->default_name + "\" is now the default cluster";
  }
  return session.done(words + ".\n");
}

Result<int> show_or_set_default(Session& session, const Arguments& arguments) {
  auto rc = session.rc();
  if (!rc) return rc.error();
  if (arguments.values.empty()) {
    const Cluster* current = rc->default_cluster();
    if (current == nullptr)
      return failure("no clusters configured", "Add one with 'flynn cluster add'.").as(ErrorCode::kNoCluster);
    Table table({"NAME", "URL"});
    table.add({current->name, current->controller_url});
    session.show(table);
    return 0;
  }
  const std::string name = arguments.at(0);
  if (rc->find(name) == nullptr) {
    return failure("Cluster \"" + name + "\" does not exist and cannot be set as default.",
                   "'flynn cluster' lists the known ones.")
        .as(ErrorCode::kUnknownCluster);
  }
  const Cluster* before = rc->default_cluster();
  auto begun = session.begin({{"make " + name + " the default cluster"},
                              before != nullptr ? "flynn cluster default " + shell_quoted(before->name) : "",
                              ""});
  if (!begun) return begun.error();
  rc->default_name = name;
  if (auto saved = save_rc(rc_path(), *rc); !saved) return saved.error();
  return session.done("\"" + name + "\" is now the default cluster.\n");
}

}  // namespace

CommandList cluster_commands() {
  return {
      {"cluster", "", "List the clusters of .flynnrc", {}, 0, 0, list_clusters},
      {"cluster add",
       "<name> <domain> <key>",
       "Add a cluster; <domain> may be an http:// URL of a controller without TLS",
       {{'f', "force", "", "replace an entry that conflicts"},
        {'d', "default", "", "make it the default cluster"},
        {'g', "git-url", "url", "where git pushes go, e.g. ssh://git@127.0.0.1:2222"},
        {0, "no-git", "", "contact nothing, leave git's configuration alone"},
        {0, "image-url", "url", "where images go"},
        {'p', "tls-pin", "pin", "base64 SHA-256 of the controller's certificate"}},
       3,
       3,
       add},
      {"cluster remove", "<name>", "Forget a cluster", {}, 1, 1, remove},
      {"cluster default", "[<name>]", "Show or set the default cluster", {}, 0, 1, show_or_set_default},
  };
}

}  // namespace flynn::cli
