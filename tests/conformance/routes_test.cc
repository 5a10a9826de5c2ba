// Routes, resources, sinks and volumes as the original client sees them.
#include <arpa/inet.h>
#include <sys/socket.h>

#include "wire.h"

namespace flynn::e2e {
namespace {

class Routes : public ConformanceTest {
 protected:
  static json::object http_route(const std::string& domain, const std::string& path = "") {
    return {{"type", "http"},
            {"domain", domain},
            {"service", "shop-web"},
            {"path", path},
            {"drain_backends", true},
            {"id", "11111111-1111-1111-1111-111111111111"},
            {"parent_ref", "controller/apps/of-another-cluster"}};
  }
};

TEST_F(Routes, AreMadeShownChangedAndRemoved) {
  const std::string app = given_pushed_app();
  const auto made = object("POST", "/apps/" + app + "/routes", http_route("one.example.com"));
  const std::string id = string_or(made, "id"), path = "/apps/" + app + "/routes/http/" + id;

  EXPECT_NE(id, "11111111-1111-1111-1111-111111111111") << "an id of another cluster is not taken";
  EXPECT_EQ(string_or(made, "parent_ref"), "controller/apps/" + string_or(object("GET", "/apps/" + app), "id"));
  for (const char* always : {"leader", "created_at", "updated_at"}) EXPECT_TRUE(made.contains(always)) << always;
  EXPECT_EQ(string_or(list("/apps/" + app + "/routes")[0].as_object(), "id"), id) << "the newest first";
  json::object changed = object("GET", path);
  changed["sticky"] = true;
  EXPECT_TRUE(bool_or(object("PUT", path, changed), "sticky"));
  changed["domain"] = "two.example.com";
  EXPECT_EQ(ask("PUT", path, changed).status, 404) << "a domain can't be changed";
  EXPECT_EQ(ask("DELETE", path).status, 200);
  EXPECT_EQ(ask("GET", path).status, 404);
}

TEST_F(Routes, ThatClashOrDependAreRefused) {
  const std::string app = given_pushed_app(), routes = "/apps/" + app + "/routes";
  EXPECT_EQ(ask("POST", routes, http_route("deep.example.com", "/below")).status, 400) << "no default route yet";
  const auto root = object("POST", routes, http_route("deep.example.com"));
  const auto below = object("POST", routes, http_route("deep.example.com", "/below"));
  EXPECT_EQ(string_or(below, "path"), "/below/");

  const auto duplicate = ask("POST", routes, http_route("deep.example.com"));
  EXPECT_EQ(duplicate.status, 409);
  EXPECT_EQ(string_or(duplicate.object(), "code"), "conflict");
  EXPECT_TRUE(duplicate.object().contains("detail")) << duplicate.body;
  const auto needed = ask("DELETE", routes + "/http/" + string_or(root, "id"));
  EXPECT_EQ(needed.status, 400) << needed.body;
  EXPECT_NE(needed.body.find("Route has dependent routes"), std::string::npos) << needed.body;
  EXPECT_EQ(ask("DELETE", routes + "/http/" + string_or(below, "id")).status, 200);
  EXPECT_EQ(ask("DELETE", routes + "/http/" + string_or(root, "id")).status, 200);
  for (const int reserved : {80, 443}) {
    const auto refused =
        ask("POST", routes,
            json::object{{"type", "tcp"}, {"port", reserved}, {"service", "shop-web"}, {"drain_backends", true}});
    EXPECT_EQ(refused.status, 409) << refused.body;
  }
}

TEST_F(Routes, ACertificateComesInTheOldFieldsAndIsAnsweredInBoth) {
  const std::string app = given_pushed_app(), file = node().root() + "/route";
  ASSERT_TRUE(run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                   "-keyout", file + ".key", "-out", file + ".crt", "-days", "3", "-subj", "/CN=tls.example.com"})
                  .ok());
  const auto content = [](const std::string& path) { return run({"cat", path}).out; };
  auto route = http_route("tls.example.com");
  route["tls_cert"] = content(file + ".crt");
  route["tls_key"] = content(file + ".key");
  const auto made = object("POST", "/apps/" + app + "/routes", route);
  const std::string path = "/apps/" + app + "/routes/http/" + string_or(made, "id");
  const auto has_certificate = [](const json::object& one) {
    const auto* certificate = find_object(one, "certificate");
    return certificate != nullptr && string_or(*certificate, "cert").find("BEGIN CERTIFICATE") != std::string::npos;
  };

  EXPECT_TRUE(has_certificate(made)) << json::serialize(made);
  auto changed = object("GET", path);
  changed.erase("certificate");
  EXPECT_TRUE(has_certificate(object("PUT", path, changed))) << "one that is not named stays, and is answered";
  route["domain"] = "bad.example.com";
  route["tls_key"] = "no key";
  const auto refused = ask("POST", "/apps/" + app + "/routes", route);
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("Certificate invalid"), std::string::npos) << refused.body;
  EXPECT_EQ(ask("DELETE", path).status, 200);
}

TEST_F(Routes, ATcpRouteGetsAPortOfTheNodesOnly) {
  const std::string app = given_pushed_app(), routes = "/apps/" + app + "/routes";
  const auto tcp = [](int port) {
    return json::object{{"type", "tcp"}, {"port", port}, {"service", "shop-web"}, {"drain_backends", true}};
  };
  const int only = node().ports().tcp;  // of the node's range

  const auto outside = ask("POST", routes, tcp(only + 1));
  EXPECT_EQ(outside.status, 400) << outside.body;
  EXPECT_EQ(string_or(outside.object(), "code"), "validation_error");
  const auto made = object("POST", routes, tcp(0));
  EXPECT_EQ(int_or(made, "port", -1), only);
  EXPECT_EQ(ask("POST", routes, tcp(only)).status, 409) << "it is taken";
  EXPECT_EQ(ask("POST", routes, tcp(0)).status, 409) << "none is left";
  EXPECT_EQ(ask("DELETE", "/apps/" + app + "/routes/tcp/" + string_or(made, "id")).status, 200);
}

TEST_F(Routes, AResourceLeavesOneAppAndStaysWithTheOther) {
  for (const char* app : {"first", "second"}) object("POST", "/apps", json::object{{"name", app}});
  const auto made =
      object("POST", "/providers/postgres/resources", json::object{{"apps", {"first", "second"}}, {"config", nullptr}});
  const auto* env = find_object(made, "env");
  ASSERT_NE(env, nullptr);
  EXPECT_TRUE(env->contains("DATABASE_URL")) << "variables of the database are the answer's";
  const std::string other = string_or(
      object("POST", "/providers/postgres/resources", json::object{{"apps", {"first"}}, {"config", json::object{}}}),
      "id");
  const std::string path = "/providers/postgres/resources/" + string_or(made, "id");

  object("DELETE", path + "/apps/first");

  EXPECT_EQ(list("/apps/second/resources").size(), 1U);
  const auto left = list("/apps/first/resources");
  ASSERT_EQ(left.size(), 1U) << "its link to the other resource stays";
  EXPECT_EQ(string_or(left[0].as_object(), "id"), other);
  EXPECT_TRUE(object("DELETE", path).contains("env")) << "the client unsets what the answer has";
  object("DELETE", "/providers/postgres/resources/" + other);
}

TEST_F(Routes, SinksAreWatchedAndSentTo) {
  const std::string app = given_pushed_app();
  UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listening.get(), 4), 0);
  ASSERT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  EventStream stream(port(), key(), "/sinks?since=1970-01-01T00:00:00Z", "0");
  stream.next({}, [](const json::object& item) { return item.empty(); });

  const std::string url = "syslog://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const auto sink =
      object("POST", "/sinks",
             json::object{{"id", ""}, {"kind", "syslog"}, {"config", {{"url", url}, {"format", "newline"}}}});
  stream.next({}, [&](const json::object& item) { return string_or(item, "id") == string_or(sink, "id"); });
  UniqueFd peer(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(peer);
  auto job = json::object{{"release", string_or(release_of(app), "id")}, {"args", {"echo", "to-the-sink"}}};
  object("POST", "/apps/" + app + "/jobs", job);
  std::string received;
  while (received.find("to-the-sink") == std::string::npos) {
    char chunk[4096];
    const ssize_t got = ::recv(peer.get(), chunk, sizeof chunk, 0);
    ASSERT_GT(got, 0) << received;
    received.append(chunk, static_cast<std::size_t>(got));
  }
  EXPECT_NE(received.find(" shop "), std::string::npos) << "the app's name is the APP-NAME: " << received;
  EXPECT_EQ(ask("DELETE", "/sinks/" + string_or(sink, "id")).status, 200);
  EXPECT_EQ(ask("GET", "/sinks/" + string_or(sink, "id")).status, 404);
}

TEST_F(Routes, WhoAsksForTheCertificateOfTheClusterGetsIt) {
  const auto certificate = ask("GET", "/ca-cert");
  EXPECT_EQ(certificate.status, 200);
  EXPECT_NE(certificate.head.find("application/x-x509-ca-cert"), std::string::npos) << certificate.head;
  EXPECT_NE(certificate.body.find("BEGIN CERTIFICATE"), std::string::npos);
}

TEST_F(Routes, WhatTheClientReadsOfSystemAppsIsThere) {
  EXPECT_NE(string_or(object("GET", "/apps/blobstore/release"), "id"), "") << "an export reads it";
  EXPECT_NE(string_or(object("GET", "/apps/controller/release"), "id"), "");
  for (const char* target : {"/volumes", "/sinks", "/resources", "/active-jobs", "/routes", "/providers"})
    EXPECT_EQ(ask("GET", target).body.substr(0, 1), "[") << target;
}

}  // namespace
}  // namespace flynn::e2e
