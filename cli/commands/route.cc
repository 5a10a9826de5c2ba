#include <charconv>
#include <fstream>
#include <iostream>
#include <sstream>

#include "../documents.h"
#include "../names.h"
#include "../session.h"
#include "../table.h"
#include "families.h"

namespace flynn::cli {
namespace {

constexpr int kPortMax = 65535;

Result<std::string> read_pem(const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream file(path);
  if (!file) return failure("read " + path + ": cannot open the file").as(ErrorCode::kFileUnreadable);
  text << file.rdbuf();
  return text.str();
}

Status read_certificate(const Arguments& arguments, json::object& route) {
  const std::string cert = arguments.value("tls-cert");
  const std::string key = arguments.value("tls-key");
  if (cert.empty() != key.empty()) return usage_error("both --tls-cert and --tls-key are needed");
  if (cert.empty()) return Done{};
  if (cert == "-" && key == "-") return usage_error("only one of certificate and key can come from stdin");
  const auto cert_text = read_pem(cert);
  if (!cert_text) return cert_text.error();
  const auto key_text = read_pem(key);
  if (!key_text) return key_text.error();
  route["tls_cert"] = *cert_text;
  route["tls_key"] = *key_text;
  return Done{};
}

Result<int> read_port(const Arguments& arguments) {
  const std::string text = arguments.value("port", "0");
  int port = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || end != text.data() + text.size() || port < 0 || port > kPortMax) {
    return usage_error("--port \"" + text + "\" is not a port");
  }
  return port;
}

void read_switches(const Arguments& arguments, json::object& route) {
  struct Switch {
    const char* option;
    const char* member;
    bool value;
  };
  static constexpr Switch kSwitches[] = {
      {"sticky", "sticky", true},
      {"no-sticky", "sticky", false},
      {"leader", "leader", true},
      {"no-leader", "leader", false},
      {"no-drain-backends", "drain_backends", false},
      {"disable-keep-alives", "disable_keep_alives", true},
      {"enable-keep-alives", "disable_keep_alives", false},
  };
  for (const Switch& entry : kSwitches) {
    if (arguments.has(entry.option)) route[entry.member] = entry.value;
  }
}

std::string route_id(const json::object& route) { return text_of(route, "type") + "/" + text_of(route, "id"); }

std::string route_name(const json::object& route) {
  if (text_of(route, "type") == "tcp") return "tcp:" + std::to_string(number_of(route, "port"));
  const bool https = !object_of(route, "certificate").empty() || !text_of(route, "tls_cert").empty();
  return (https ? "https:" : "http:") + text_of(route, "domain");
}

std::string yes_no(bool value) { return value ? "true" : "false"; }

Result<int> list(Session& session, const Arguments&) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto routes = (*client)->get(*path + "/routes");
  if (!routes) return routes.error();
  Table table({"ROUTE", "SERVICE", "ID", "STICKY", "LEADER", "PATH"});
  for (const json::value& value : as_array(*routes)) {
    const json::object& route = as_object(value);
    const bool http = text_of(route, "type") != "tcp";
    table.add({route_name(route), text_of(route, "service"), route_id(route),
               http ? yes_no(flag_of(route, "sticky")) : "", yes_no(flag_of(route, "leader")), text_of(route, "path")});
  }
  session.show(table);
  return 0;
}

/// The controller has one code for all conflicts, and one for all values that it refuses.
Error route_error(const Error& error) {
  const auto says = [&](std::string_view words) { return error.what.find(words) != std::string::npos; };
  if (says("Certificate invalid"))
    return error.as(ErrorCode::kBadCertificate)
        .advise("openssl x509 -in <file> -noout -dates -subject shows what the certificate is.");
  if (says("Port reserved"))
    return error.as(ErrorCode::kPortTaken).advise("Choose another port; without -p the cluster chooses a free one.");
  if (says("can't be opened"))
    return error.as(ErrorCode::kPortTaken)
        .advise("ss -ltnp shows who listens on the node; without -p the cluster chooses a port that is free.");
  if (says("for TCP routes"))
    return error.as(ErrorCode::kValidation)
        .advise("Choose a port of that range with -p; without it the cluster chooses a free one.");
  if (says("Duplicate route: port"))
    return error.as(ErrorCode::kPortTaken)
        .advise(
            "Choose another port, or none: the cluster chooses a free one. 'flynn -a <other app> route' lists an "
            "app's.");
  if (error.kind == Failure::kConflict)
    return error.as(ErrorCode::kRouteTaken).advise("'flynn -a <other app> route' shows which app has it.");
  return error;
}

Result<json::object> post_route(Session& session, const Arguments& arguments, json::object route) {
  const auto app = session.app();
  if (!app) return app.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto port = read_port(arguments);
  if (!port) return port.error();
  route["port"] = *port;
  route["service"] = arguments.value("service", *app + "-web");
  route["drain_backends"] = true;
  read_switches(arguments, route);
  const std::string tcp_port = *port == 0 ? "a TCP port" : "TCP port " + std::to_string(*port);
  const std::string what = text_of(route, "type") == "tcp" ? tcp_port : text_of(route, "domain");
  Change change{{"lead " + what + " to " + text_of(route, "service")}, "", ""};
  if (auto begun = session.begin(change); !begun) return begun.error();
  const auto created = (*client)->post("/apps/" + percent_encode(*app) + "/routes", route);
  if (!created) return route_error(created.error());
  change.undo = "flynn -a " + *app + " route remove " + route_id(as_object(*created));
  if (auto begun = session.begin(change); !begun) return begun.error();
  return as_object(*created);
}

Result<int> add_http(Session& session, const Arguments& arguments) {
  const std::string where = arguments.at(0);
  const auto slash = where.find('/');
  json::object route{{"type", "http"}, {"domain", where.substr(0, slash)}};
  if (slash != std::string::npos) route["path"] = where.substr(slash);
  if (auto read = read_certificate(arguments, route); !read) return read.error();
  const auto created = post_route(session, arguments, std::move(route));
  if (!created) return created.error();
  return session.done(session.out(), route_id(*created) + "\n", {{"route", route_id(*created)}});
}

int done_tcp(Session& session, const json::object& route) {
  const std::int64_t port = number_of(route, "port");
  const std::string words = route_id(route) + " listening on port " + std::to_string(port) + "\n";
  return session.done(session.out(), words, {{"route", route_id(route)}, {"port", port}});
}

Result<int> add_tcp(Session& session, const Arguments& arguments) {
  const auto created = post_route(session, arguments, {{"type", "tcp"}});
  if (!created) return created.error();
  return done_tcp(session, *created);
}

/// "/apps/x/routes/http/<id>"
Result<std::string> route_path(Session& session, const std::string& id) {
  const auto path = session.app_path();
  if (!path) return path.error();
  const auto slash = id.find('/');
  const std::string type = id.substr(0, slash);
  if (slash == std::string::npos || (type != "http" && type != "tcp")) {
    return usage_error("\"" + id + "\" is not a route's id", "'flynn route' lists them: http/… or tcp/….");
  }
  return *path + "/routes/" + type + "/" + percent_encode(id.substr(slash + 1));
}

/// What of `before` changes, and the options that change it back.
Change update_of(const std::string& app, const std::string& id, const json::object& before, const json::object& after) {
  struct Flag {
    const char* member;
    const char* on;
    const char* off;
  };
  static constexpr Flag kFlags[] = {{"sticky", " --sticky", " --no-sticky"},
                                    {"leader", " --leader", " --no-leader"},
                                    {"disable_keep_alives", " --disable-keep-alives", " --enable-keep-alives"}};
  Change change{{}, "", "the old certificate and key are not readable; give them again"};
  std::string options;
  if (text_of(before, "service") != text_of(after, "service")) {
    change.steps.push_back("lead " + id + " to " + text_of(after, "service"));
    options += " -s " + shell_quoted(text_of(before, "service"));
  }
  if (const std::int64_t port = number_of(before, "port"); port != number_of(after, "port")) {
    change.steps.push_back("move " + id + " to port " + std::to_string(number_of(after, "port")));
    options += " -p " + std::to_string(port);
  }
  for (const Flag& flag : kFlags) {
    if (flag_of(before, flag.member) == flag_of(after, flag.member)) continue;
    change.steps.push_back(std::string("set ") + flag.member + " to " + yes_no(flag_of(after, flag.member)));
    options += flag_of(before, flag.member) ? flag.on : flag.off;
  }
  if (after.contains("tls_cert")) change.steps.push_back("replace the certificate of " + id);
  if (!options.empty()) change.undo = "flynn -a " + app + " route update " + id + options;
  return change;
}

Result<int> update(Session& session, const Arguments& arguments) {
  const std::string id = arguments.at(0);
  const auto path = route_path(session, id);
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto current = (*client)->get(*path);
  if (!current) return current.error();
  json::object route = as_object(*current);
  const bool tcp = text_of(route, "type") == "tcp";
  if (!tcp && arguments.has("port")) return usage_error("an HTTP route has no port of its own");
  const auto port = read_port(arguments);
  if (!port) return port.error();
  const json::object before = route;
  if (*port != 0) route["port"] = *port;
  for (const char* member : {"certificate", "tls_cert", "tls_key"}) route.erase(member);
  if (arguments.has("service")) route["service"] = arguments.value("service");
  if (auto read = read_certificate(arguments, route); !read) return read.error();
  read_switches(arguments, route);
  if (auto begun = session.begin(update_of(*session.app(), id, before, route)); !begun) return begun.error();
  const auto updated = (*client)->put(*path, route);
  if (!updated) return route_error(updated.error());
  if (tcp) return done_tcp(session, as_object(*updated));
  return session.done(session.out(), "updated " + id + "\n", {{"route", id}});
}

/// The command that makes a route like this one.
std::string adding(const json::object& route) {
  std::string service = " -s " + shell_quoted(text_of(route, "service"));
  if (flag_of(route, "leader")) service += " --leader";
  if (!flag_of(route, "drain_backends")) service += " --no-drain-backends";
  if (text_of(route, "type") == "tcp") {
    return " route add tcp -p " + std::to_string(number_of(route, "port")) + service;
  }
  return " route add http" + service + (flag_of(route, "sticky") ? " --sticky" : "") + " " +
         shell_quoted(text_of(route, "domain") + text_of(route, "path"));
}

Result<int> remove(Session& session, const Arguments& arguments) {
  const std::string id = arguments.at(0);
  const auto path = route_path(session, id);
  if (!path) return path.error();
  const auto client = session.controller();
  if (!client) return client.error();
  const auto route = (*client)->get(*path);
  if (!route) return route.error();
  auto begun = session.begin({{"remove route " + id + " (" + route_name(as_object(*route)) + ")"},
                              "flynn -a " + *session.app() + adding(as_object(*route)),
                              ""});
  if (!begun) return begun.error();
  if (auto removed = (*client)->remove(*path); !removed) return removed.error();
  return session.done(session.out(), "Route " + id + " removed.\n", {{"route", id}});
}

}  // namespace

CommandList route_commands() {
  const Option service{'s', "service", "name", "the service behind it (default: <app>-web)"};
  const Option port{'p', "port", "port", "port to listen on (tcp default: a free one)"};
  const Option cert{'c', "tls-cert", "file", "certificate chain in PEM, - for stdin"};
  const Option key{'k', "tls-key", "file", "its private key in PEM, - for stdin"};
  const Option sticky{0, "sticky", "", "keep a client at the same job"};
  const Option leader{0, "leader", "", "send everything to the service's leader"};
  const Option no_leader{0, "no-leader", "", "send to every instance"};
  const Option no_drain{0, "no-drain-backends", "", "do not wait for requests when a job goes"};
  const Option no_keep_alive{0, "disable-keep-alives", "", "one request a connection"};
  return {
      {"route", "", "List the routes of an app", {}, 0, 0, list},
      {"route add http",
       "<domain>[/<path>]",
       "Lead a domain to a service",
       {service, port, cert, key, sticky, leader, no_leader, no_drain, no_keep_alive},
       1,
       1,
       add_http},
      {"route add tcp", "", "Lead a port to a service", {service, port, leader, no_drain}, 0, 0, add_tcp},
      {"route update",
       "<id>",
       "Change a route",
       {service,
        {'p', "port", "port", "tcp: the port to move to"},
        cert,
        key,
        sticky,
        {0, "no-sticky", "", "any job"},
        leader,
        no_leader,
        no_keep_alive,
        {0, "enable-keep-alives", "", "many requests a connection"}},
       1,
       1,
       update},
      {"route remove", "<id>", "Remove a route", {}, 1, 1, remove},
  };
}

}  // namespace flynn::cli
