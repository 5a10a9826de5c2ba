#include <Poco/URI.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <ostream>

#include "../deploy.h"
#include "../documents.h"
#include "../session.h"
#include "../terminal.h"
#include "families.h"

namespace flynn::cli {
namespace {

/// The port that the cluster's router has for `scheme`, where its controller says so: ":8080", or "".
std::string port_of(const Cluster& cluster, const std::string& scheme) {
  const Poco::URI controller(cluster.controller_url);
  const bool usual = controller.getPort() == (scheme == "https" ? 443 : 80);
  return controller.getScheme() != scheme || usual ? "" : ":" + std::to_string(controller.getPort());
}

Result<std::string> url_of(Session& session, const std::string& path) {
  const auto app_path = session.app_path();
  if (!app_path) return app_path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto cluster = session.cluster();
  if (!cluster) return cluster.error();
  const auto routes = (*client)->get(*app_path + "/routes");
  if (!routes) return app_not_found(*session.app(), routes.error());
  for (const json::value& value : as_array(*routes)) {
    const json::object& route = as_object(value);
    if (text_of(route, "type") != "http") continue;
    const bool secure = !object_of(route, "certificate").empty() || !text_of(route, "tls_cert").empty();
    const std::string scheme = secure || cluster->controller_url.starts_with("https://") ? "https" : "http";
    const std::string base = text_of(route, "path").empty() ? "/" : text_of(route, "path");
    return scheme + "://" + text_of(route, "domain") + port_of(*cluster, scheme) +
           (path.empty() ? base : (path.starts_with('/') ? "" : "/") + path);
  }
  return Error{"app \"" + *session.app() + "\" has no HTTP route", "flynn route add http <domain>", Failure::kNotFound};
}

/// Starts the browser and waits for its starter, which returns at once. False when there is none.
bool start_browser(const std::string& url) {
  const char* chosen = std::getenv("BROWSER");
  std::string program = chosen != nullptr && *chosen != '\0' ? chosen : "xdg-open";
  std::string argument = url;
  char* const argv[] = {program.data(), argument.data(), nullptr};
  pid_t pid = 0;
  if (posix_spawnp(&pid, program.c_str(), nullptr, nullptr, argv, environ) != 0) return false;
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Result<int> open(Session& session, const Arguments& arguments) {
  const auto url = url_of(session, arguments.at(0));
  if (!url) return url.error();
  if (session.json()) return session.show(json::object{{"url", *url}}), 0;
  session.out() << *url << '\n' << std::flush;
  const char* browser = std::getenv("BROWSER");
  const bool wanted = is_terminal(1) || (browser != nullptr && *browser != '\0');
  if (arguments.has("print") || !wanted) return 0;
  if (!start_browser(*url)) session.err() << "No browser could be started: set BROWSER, or open the address above.\n";
  return 0;
}

Result<int> maintenance(Session& session, const Arguments& arguments) {
  const std::string wish = arguments.at(0);
  if (!wish.empty() && wish != "on" && wish != "off")
    return usage_error("maintenance \"" + wish + "\": expected on or off");
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto now = (*client)->get(*path + "/maintenance");
  if (!now) return app_not_found(*session.app(), now.error());
  const bool closed = flag_of(as_object(*now), "maintenance");
  if (wish.empty()) {
    if (session.json()) return session.show(*now), 0;
    session.out() << (closed ? "on" : "off") << '\n';
    return 0;
  }
  const std::string app = *session.app();
  const std::size_t routes = array_of(as_object(*now), "routes").size();
  auto begun = session.begin(
      {{(wish == "on" ? "answer 503 with a page on the " : "open the ") + std::to_string(routes) + " routes of " + app},
       "flynn -a " + app + " maintenance " + (closed ? "on" : "off"),
       ""});
  if (!begun) return begun.error();
  const auto done = (*client)->put(*path + "/maintenance", json::object{{"maintenance", wish == "on"}});
  if (!done) return done.error();
  return session.done("Maintenance of " + app + " is " + wish + ".\n", {{"maintenance", wish == "on"}});
}

}  // namespace

CommandList open_commands() {
  return {
      {"open", "[<path>]", "Open the app in a browser", {{0, "print", "", "only print its address"}}, 0, 1, open},
      {"maintenance", "[on|off]", "Close the app for visitors with a page, or open it again", {}, 0, 1, maintenance},
  };
}

}  // namespace flynn::cli
