// A second appliance of the same interface, a third party's: a Redis for each resource.
#include "world.h"

namespace flynn::e2e {
namespace {

class Redis : public WorldTest {
 protected:
  static std::string variable(const std::string& app, const std::string& name) {
    auto text = node().flynn({"-a", app, "env", "get", name}).out;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  /// What the server says to these commands, asked from inside a job of the app.
  static std::string ask(const std::string& app, const std::string& commands) {
    const std::string script = "exec 3<>/dev/tcp/$REDIS_HOST/$REDIS_PORT; printf \"AUTH $REDIS_PASSWORD\\r\\n" +
                               commands + "QUIT\\r\\n\" >&3; cat <&3";
    return node().flynn({"-a", app, "run", "bash", "-c", script}, {.timeout = 60s}).out;
  }
};

TEST_F(Redis, IsProvisionedBesidePostgresUsedAndTakenAway) {
  given_app("static-site", "cached");

  const auto added = node().flynn({"-a", "cached", "resource", "add", "redis"}, {.timeout = 120s});
  ASSERT_TRUE(added.ok()) << added.out << node().log();

  const auto service = variable("cached", "FLYNN_REDIS");
  EXPECT_TRUE(service.starts_with("redis-")) << service;
  EXPECT_EQ(variable("cached", "REDIS_URL"),
            "redis://:" + variable("cached", "REDIS_PASSWORD") + "@leader." + service + ".discoverd:6379");
  const auto said = ask("cached", "SET greeting hello\\r\\nGET greeting\\r\\n");
  EXPECT_NE(said.find("hello"), std::string::npos) << said;
  EXPECT_NE(node().flynn({"provider"}).out.find("flynn.database/1@redis"), std::string::npos);

  // Its job ends; the data lie on the volume.
  const auto jobs = node().flynn({"-a", service, "ps", "-q"});
  ASSERT_TRUE(node().flynn({"-a", service, "kill", jobs.out.substr(0, jobs.out.find('\n'))}).ok()) << jobs.out;
  EXPECT_TRUE(eventually(60s, [] { return ask("cached", "GET greeting\\r\\n").find("hello") != std::string::npos; }))
      << ask("cached", "GET greeting\\r\\n") << node().flynn({"-a", service, "log"}).out;

  const auto postgres = node().flynn({"-a", "cached", "resource", "add", "postgres"}, {.timeout = 120s});
  EXPECT_TRUE(postgres.ok()) << "the other appliance still is the first provider: " << postgres.out;
  const auto pong = node().flynn({"-a", "cached", "redis", "redis-cli", "--", "ping"});
  EXPECT_EQ(pong.out, "PONG\n") << node().log();
  const auto file = node().root() + "/redis.rdb";
  const auto dumped = node().flynn({"-a", "cached", "redis", "dump", "-f", file});
  EXPECT_TRUE(dumped.ok()) << dumped.out;
  EXPECT_EQ(run({"head", "-c", "5", file}).out, "REDIS");
  const auto removed = node().flynn({"-a", "cached", "resource", "remove", "redis"}, {.timeout = 60s});
  ASSERT_TRUE(removed.ok()) << removed.out;
  EXPECT_TRUE(eventually(60s, [&] { return node().flynn({"apps"}).out.find(service) == std::string::npos; }));
}

}  // namespace
}  // namespace flynn::e2e
