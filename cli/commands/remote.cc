#include <iostream>

#include "../deploy.h"
#include "../git_repository.h"
#include "../session.h"
#include "families.h"

namespace flynn::cli {
namespace {

Result<int> add(Session& session, const Arguments& arguments) {
  const std::string name = arguments.values.empty() ? "flynn" : arguments.at(0);
  const auto app = session.app();
  if (!app) return app.error();
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();
  if (cluster->git_url.empty()) {
    return failure("cluster \"" + cluster->name + "\" has no git URL", "Add it again with --git-url.");
  }
  const auto client = session.controller();
  if (!client) return client.error();
  if (auto known = (*client)->get(*session.app_path()); !known) return app_not_found(*app, known.error());
  auto repository = GitRepository::discover(".");
  if (!repository) return repository.error().context("remote add");
  const auto remotes = repository->remotes();
  if (!remotes) return remotes.error();
  for (const GitRemote& remote : *remotes) {
    if (remote.name != name || arguments.has("yes")) continue;
    if (!session.confirm("There is already a git remote called \"" + name +
                         "\". Are you sure you want to replace it?")) {
      return failure("Nothing was changed.").as(ErrorCode::kDeclined);
    }
  }
  const std::string url = remote_url(cluster->git_url, *app);
  auto begun = session.begin({{"set git remote " + name + " to " + url}, "git remote remove " + name, ""});
  if (!begun) return begun.error();
  if (auto set = repository->set_remote(name, url); !set) return set.error();
  return session.done("Created remote " + name + " with url " + url + "\n", {{"url", url}});
}

/// The protocol of git's credential helpers: attributes on stdin, a blank line, the answer on stdout.
Result<int> git_credentials(Session& session, const Arguments& arguments) {
  if (arguments.at(0) != "get") return 0;
  session.shown();
  const auto rc = session.rc();
  if (!rc) return rc.error();
  std::string protocol;
  std::string host;
  for (std::string line; std::getline(std::cin, line) && !line.empty();) {
    if (line.starts_with("protocol=")) protocol = line.substr(9);
    if (line.starts_with("host=")) host = line.substr(5);
  }
  for (const Cluster& cluster : rc->clusters) {
    if (protocol != "https" || cluster.git_url != "https://" + host) continue;
    session.raw_out() << "protocol=https\nhost=" << host << "\nusername=user\npassword=" << cluster.key << '\n';
  }
  return 0;
}

}  // namespace

CommandList remote_commands() {
  return {
      {"remote add",
       "[<name>]",
       "Make a git remote for an existing app (named with -a; default name: flynn)",
       {{'y', "yes", "", "replace a remote of that name without asking"}},
       0,
       1,
       add},
      {"git-credentials",
       "<operation>",
       "What git asks for https remotes",
       {},
       1,
       1,
       git_credentials,
       OptionOrder::kAnywhere,
       true},
  };
}

}  // namespace flynn::cli
