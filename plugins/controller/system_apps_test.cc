// Plugins as apps: the real controller on the real store; the node's plugins are in memory.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "controller.h"
#include "node_door_test.h"

namespace flynn::controller {
namespace {

constexpr std::chrono::seconds kPatience{20};

UniqueFd listening_socket() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 16), 0);
  return fd;
}

class SystemApps : public testing::Test {
 protected:
  SystemApps() {
    door_.node.add("router", "1.0.0");
    door_.node.add("controller", "1.0.0");
  }
  ~SystemApps() override { stop(); }

  void start() {
    Settings settings;
    settings.data_dir = door_.folder().string();
    controller_ = std::make_unique<Controller>(door_, log_, settings);
    ASSERT_TRUE(controller_->start().ok());
    ASSERT_TRUE(controller_->prepare(listening_socket()).ok());
    ASSERT_TRUE(controller_->activate().ok());
  }
  void stop() { controller_.reset(); }
  void given_the_router_app() {
    start();
    ASSERT_TRUE(eventually([&] { return !text_of(get("/apps/router"), "release").empty(); }));
  }

  static bool eventually(const std::function<bool()>& holds) {
    const auto deadline = Deadline::after(kPatience);
    while (!holds()) {
      if (deadline.passed()) return false;
      ::poll(nullptr, 0, 5);
    }
    return true;
  }
  HttpResponse ask(const std::string& method, const std::string& path, const json::object& body = {}) {
    HttpRequest request;
    request.method = method;
    request.content_type = "application/json";
    request.streams = false;
    request.body = json::serialize(body);
    EXPECT_TRUE(parse_target(path, request));
    return controller_->dispatch(request);
  }
  json::object get(const std::string& path) {
    auto answer = parse_json(ask("GET", path).body.empty() ? "{}" : ask("GET", path).body);
    return answer && answer->is_object() ? answer->get_object() : json::object{};
  }
  json::array list(const std::string& path) {
    auto answer = parse_json(ask("GET", path).body);
    return answer && answer->is_array() ? answer->get_array() : json::array{};
  }
  json::object current() { return get("/apps/router/release"); }
  /// As `flynn env set`: the current release with another environment.
  HttpResponse create_release(const json::object& changes, const json::object& members = {}) {
    json::object release = current();
    for (const char* own : {"id", "created_at", "app", "artifact"}) release.erase(own);
    json::object env = object_of(release, "env");
    for (const auto& change : changes) env[change.key()] = change.value();
    release["env"] = env;
    release["app_id"] = text_of(get("/apps/router"), "id");
    for (const auto& entry : members) release[entry.key()] = entry.value();
    return ask("POST", "/releases", release);
  }
  /// The id of the deployment.
  std::string deploy(const std::string& release) {
    auto answer = ask("POST", "/apps/router/deploy", {{"id", release}});
    EXPECT_EQ(answer.status, 200) << answer.body;
    return text_of(*parse_json_object(answer.body), "id");
  }
  std::string set_env(const json::object& changes) {
    auto created = create_release(changes);
    EXPECT_EQ(created.status, 200) << created.body;
    const auto id = text_of(*parse_json_object(created.body), "id");
    expect_deployed(deploy(id));
    return id;
  }
  void expect_deployed(const std::string& deployment, const std::string& status = "complete") {
    EXPECT_TRUE(eventually([&] { return !text_of(get("/deployments/" + deployment), "finished_at").empty(); }));
    EXPECT_EQ(text_of(get("/deployments/" + deployment), "status"), status);
  }
  void expect_refused(const HttpResponse& answer, const std::string& words) {
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_NE(answer.body.find(words), std::string::npos) << answer.body;
  }

  QuietLog log_;
  NodeDoor door_;
  std::unique_ptr<Controller> controller_;
};

TEST_F(SystemApps, EachPluginIsOneWithItsVersionAndConfiguration) {
  given_the_router_app();

  EXPECT_TRUE(eventually([&] { return list("/apps").size() == 2; })) << list("/apps");
  const auto app = get("/apps/router");
  EXPECT_EQ(text_of(object_of(app, "meta"), "flynn-system-app"), "true");
  EXPECT_FALSE(app.contains("_plugin"));
  EXPECT_EQ(object_of(current(), "env"), (json::object{{"SIZE", "3"}, {"LABEL", ""}, {"LIST", "[]"}}));
  EXPECT_EQ(text_of(object_of(current(), "plugin"), "version"), "1.0.0");
  EXPECT_EQ(list("/apps/router/routes").size(), 0u);
}

TEST_F(SystemApps, AreTheSameForTheNextController) {
  given_the_router_app();
  const auto app = get("/apps/router"), release = current();

  stop();
  given_the_router_app();

  EXPECT_EQ(text_of(get("/apps/router"), "id"), text_of(app, "id"));
  EXPECT_EQ(text_of(current(), "id"), text_of(release, "id"));
  EXPECT_EQ(list("/apps/router/releases").size(), 1u);
}

TEST_F(SystemApps, TheControllersOwnIsTheOneThatAnOldBootstrapMade) {
  const std::string id = "1a4d28d5-7a2e-41d4-ab55-5c49d2fcd533";
  const json::object old{{"v", 1}, {"id", id}, {"name", "controller"}, {"meta", {{"flynn-system-app", "true"}}}};
  StoreClient store(door_);
  ASSERT_TRUE(store.put("apps/" + id, old).ok());
  ASSERT_TRUE(store.put("app-names/controller", json::object{{"v", 1}, {"app_id", id}}).ok());

  start();

  EXPECT_TRUE(eventually([&] { return !text_of(get("/apps/controller"), "release").empty(); }));
  EXPECT_EQ(text_of(get("/apps/controller"), "id"), id);
  expect_refused(ask("DELETE", "/apps/controller"), "can't be deleted");
}

TEST_F(SystemApps, LeaveAUsersAppItsName) {
  start();
  ASSERT_TRUE(eventually([&] { return list("/apps").size() == 2; })) << list("/apps");
  ASSERT_EQ(ask("POST", "/apps", {{"name", "postgres"}}).status, 200);

  door_.node.add("postgres", "1.0.0");
  door_.node.swap("router", "1.0.1");

  EXPECT_TRUE(eventually([&] { return ask("GET", "/apps/flynn-postgres").status == 200; }));
  EXPECT_FALSE(object_of(get("/apps/postgres"), "meta").contains("flynn-system-app"));
}

TEST_F(SystemApps, EnvSetReconfiguresThePluginAndMakesARelease) {
  given_the_router_app();

  const auto release = set_env({{"SIZE", "5"}, {"LABEL", "x"}});

  EXPECT_EQ(text_of(current(), "id"), release);
  EXPECT_EQ(list("/apps/router/releases").size(), 2u);
  const auto plugin = door_.node.plugin("router");
  EXPECT_EQ(number_of(plugin.config, "size"), 5);
  EXPECT_EQ(text_of(plugin.config, "label"), "x");
  EXPECT_EQ(plugin.generation, 1);
}

TEST_F(SystemApps, EnvUnsetBringsTheDefaultBack) {
  given_the_router_app();
  set_env({{"SIZE", "5"}});
  json::object env = object_of(current(), "env");
  env.erase("SIZE");

  auto created = create_release({}, {{"env", env}});
  expect_deployed(deploy(text_of(*parse_json_object(created.body), "id")));

  EXPECT_EQ(number_of(door_.node.plugin("router").config, "size"), 3);
  EXPECT_EQ(text_of(object_of(current(), "env"), "SIZE"), "3");
  EXPECT_EQ(list("/apps/router/releases").size(), 3u);
}

TEST_F(SystemApps, AWrongValueIsRefusedByNameAndNothingChanges) {
  given_the_router_app();

  expect_refused(create_release({{"SIZE", "many"}}), "SIZE must be of type integer");
  expect_refused(create_release({{"SIZE", "0"}}), "key size");
  expect_refused(create_release({{"COLOUR", "red"}}), "COLOUR is no setting");

  EXPECT_EQ(list("/apps/router/releases").size(), 1u);
  EXPECT_EQ(door_.node.asked(), 0);
}

TEST_F(SystemApps, ASecretIsNotShownAndStaysWhatItIs) {
  given_the_router_app();
  set_env({{"TOKEN", "s3cret"}});
  ASSERT_EQ(text_of(door_.node.plugin("router").config, "token"), "s3cret");

  stop();
  given_the_router_app();
  json::object env = object_of(current(), "env");
  env.erase("TOKEN");
  env["SIZE"] = "9";
  auto created = create_release({}, {{"env", env}});
  expect_deployed(deploy(text_of(*parse_json_object(created.body), "id")));

  EXPECT_EQ(text_of(door_.node.plugin("router").config, "token"), "s3cret");
  EXPECT_FALSE(object_of(current(), "env").contains("TOKEN"));
}

TEST_F(SystemApps, RollBackBringsTheEarlierConfigurationBack) {
  given_the_router_app();
  const auto first = text_of(current(), "id");
  set_env({{"SIZE", "5"}});

  expect_deployed(deploy(first));

  EXPECT_EQ(number_of(door_.node.plugin("router").config, "size"), 3);
  EXPECT_EQ(text_of(current(), "id"), first);
  EXPECT_EQ(list("/apps/router/releases").size(), 2u);
}

TEST_F(SystemApps, AnOperatorsSwapMakesAReleaseAndRollBackSwapsBack) {
  given_the_router_app();
  const auto first = text_of(current(), "id");

  door_.node.swap("router", "1.1.0");
  ASSERT_TRUE(eventually([&] { return text_of(object_of(current(), "plugin"), "version") == "1.1.0"; }));
  EXPECT_EQ(text_of(object_of(current(), "meta"), "flynn-plugin-version"), "1.1.0");
  expect_deployed(deploy(first));

  EXPECT_EQ(door_.node.plugin("router").version, "1.0.0");
  EXPECT_EQ(text_of(current(), "id"), first);
  EXPECT_EQ(list("/apps/router/releases").size(), 2u);
}

TEST_F(SystemApps, ReleasesOfTwoVersionsAndConfigurationsSwapBoth) {
  given_the_router_app();
  const auto first = text_of(current(), "id");
  door_.node.swap("router", "1.1.0");
  ASSERT_TRUE(eventually([&] { return text_of(object_of(current(), "plugin"), "version") == "1.1.0"; }));
  set_env({{"SIZE", "8"}});

  expect_deployed(deploy(first));

  EXPECT_EQ(door_.node.plugin("router").version, "1.0.0");
  EXPECT_EQ(number_of(door_.node.plugin("router").config, "size"), 3);
}

TEST_F(SystemApps, AReleaseWithAFileSwapsItIn) {
  given_the_router_app();
  auto artifact = ask("POST", "/artifacts", {{"type", "file"}, {"uri", "file:///tmp/2.0.0.so"}});
  ASSERT_EQ(artifact.status, 200) << artifact.body;
  const auto artifact_id = text_of(*parse_json_object(artifact.body), "id");

  auto created = create_release({}, {{"artifacts", json::array{artifact_id}}});
  ASSERT_EQ(created.status, 200) << created.body;
  expect_deployed(deploy(text_of(*parse_json_object(created.body), "id")));

  EXPECT_EQ(door_.node.plugin("router").version, "2.0.0");
  set_env({{"SIZE", "4"}});
  EXPECT_EQ(door_.node.plugin("router").generation, 2) << "an env set keeps the version";
}

TEST_F(SystemApps, AChangeThatFailsLeavesTheReleaseInForce) {
  given_the_router_app();
  const auto first = text_of(current(), "id");
  auto created = create_release({{"SIZE", "5"}});
  door_.node.fail_next("the engine does not turn");

  expect_deployed(deploy(text_of(*parse_json_object(created.body), "id")), "failed");

  EXPECT_EQ(text_of(current(), "id"), first);
  EXPECT_EQ(number_of(door_.node.plugin("router").config, "size"), 3);
}

TEST_F(SystemApps, ADeploymentGoesOnInTheNextController) {
  given_the_router_app();
  door_.node.hold();
  auto created = create_release({{"SIZE", "5"}});
  const auto release = text_of(*parse_json_object(created.body), "id");
  const auto deployment = deploy(release);
  ASSERT_TRUE(eventually([&] { return text_of(get("/deployments/" + deployment), "status") == "running"; }));
  expect_refused(ask("POST", "/apps/router/deploy", {{"id", release}}), "already one in progress");

  stop();
  start();
  door_.node.let_go();

  expect_deployed(deployment);
  EXPECT_EQ(text_of(current(), "id"), release);
  EXPECT_EQ(door_.node.asked(), 1);
}

TEST_F(SystemApps, AChangeThatTheHostForgotIsJudgedByWhatRuns) {
  given_the_router_app();
  door_.node.hold();
  auto created = create_release({{"SIZE", "5"}});
  const auto deployment = deploy(text_of(*parse_json_object(created.body), "id"));
  ASSERT_TRUE(eventually([&] { return text_of(get("/deployments/" + deployment), "status") == "running"; }));

  door_.node.forget_changes();

  expect_deployed(deployment, "failed");
}

TEST_F(SystemApps, TheControllersReleaseShowsTheDomainAndANewControllerEndsItsMigration) {
  start();
  const auto shown = [&] { return text_of(object_of(get("/apps/controller/release"), "env"), "DEFAULT_ROUTE_DOMAIN"); };
  ASSERT_TRUE(eventually([&] { return shown() == "flynn.localhost"; }));
  ASSERT_TRUE(eventually([&] { return ask("GET", "/ca-cert").status == 200; })) << "bootstrap";
  const json::object move{{"domain", "new.example"}, {"old_domain", "flynn.localhost"}};
  // Stopped before the work is begun.
  controller_->context().later = [](auto, auto) {};
  ASSERT_TRUE(eventually([&] { return ask("PUT", "/domain", move).status == 200; }));

  stop();
  start();

  EXPECT_TRUE(eventually([&] { return shown() == "new.example"; }));
  EXPECT_TRUE(eventually([&] { return list("/events?object_types=domain_migration").size() == 2; }));
  EXPECT_EQ(text_of(*controller_->status(), "domain"), "new.example");
  const auto current = get("/apps/controller/release");
  json::object changed{{"app_id", "controller"}, {"env", object_of(current, "env")}};
  changed["env"].as_object()["DEFAULT_ROUTE_DOMAIN"] = "other.example";
  expect_refused(ask("POST", "/releases", changed), "migrate-domain");
  changed["env"].as_object()["DEFAULT_ROUTE_DOMAIN"] = "new.example";
  changed["env"].as_object()["SIZE"] = "7";
  const auto created = ask("POST", "/releases", changed);
  ASSERT_EQ(created.status, 200) << created.body;
  const auto deployed =
      ask("POST", "/apps/controller/deploy", {{"id", text_of(*parse_json_object(created.body), "id")}});
  expect_deployed(text_of(*parse_json_object(deployed.body), "id"));
  EXPECT_EQ(shown(), "new.example");
  EXPECT_EQ(number_of(door_.node.plugin("controller").config, "size"), 7);
  EXPECT_FALSE(door_.node.plugin("controller").config.contains("default_route_domain"));
}

TEST_F(SystemApps, RunAsOneJob) {
  given_the_router_app();

  const auto jobs = list("/apps/router/jobs");

  ASSERT_EQ(jobs.size(), 1u);
  const auto& job = jobs[0].as_object();
  EXPECT_EQ(text_of(job, "type"), "plugin");
  EXPECT_EQ(text_of(job, "state"), "up");
  EXPECT_EQ(text_of(job, "release"), text_of(current(), "id"));
}

TEST_F(SystemApps, HaveALog) {
  given_the_router_app();

  const auto log = ask("GET", "/apps/router/log?lines=10");

  ASSERT_EQ(log.status, 200) << log.body;
  const auto line = parse_json_object(log.body);
  ASSERT_TRUE(line.ok()) << log.body;
  EXPECT_EQ(text_of(*line, "msg"), "oops");
  EXPECT_EQ(text_of(*line, "stream"), "stderr");
}

TEST_F(SystemApps, RefuseWhatMakesNoSenseForAPlugin) {
  given_the_router_app();
  const auto release = text_of(current(), "id");
  const json::object one{{"new_processes", {{"web", 1}}}};

  expect_refused(ask("DELETE", "/apps/router"), "can't be deleted");
  expect_refused(ask("PUT", "/apps/router/scale/" + release, one), "can't be scaled");
  expect_refused(ask("PUT", "/apps/router/formations/" + release, {{"processes", {{"web", 1}}}}), "can't be scaled");
  expect_refused(ask("PUT", "/apps/router/release", {{"id", release}}), "deploy the release");
  expect_refused(ask("DELETE", "/apps/router/jobs/x"), "not killed");
  expect_refused(ask("POST", "/apps/router/jobs/x/exec", {{"args", {"ls"}}}), "no container");
  expect_refused(ask("POST", "/apps/router/jobs", {{"release", release}, {"args", {"ls"}}}), "no container");
  const auto provider = ask("POST", "/providers", {{"name", "things"}, {"url", "http://127.0.0.1:1/"}});
  ASSERT_EQ(provider.status, 200) << provider.body;
  expect_refused(ask("POST", "/providers/things/resources", {{"apps", {"router"}}}), "can use no resource");
  expect_refused(ask("GET", "/apps/router/log?follow=true"), "not possible for a plugin");
  expect_refused(create_release({}, {{"processes", {{"web", json::object{}}}}}), "no process types");
  EXPECT_EQ(ask("GET", "/apps/router").status, 200);
}

}  // namespace
}  // namespace flynn::controller
