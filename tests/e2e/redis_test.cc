// A second appliance of the same interface, a third party's: a Redis for each resource.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "flynn/sdk/unique_fd.h"
#include "world.h"

namespace flynn::e2e {
namespace {

/// One connection to a port of this machine; ten seconds for everything.
class Line {
 public:
  explicit Line(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }
  /// The first line of the answer.
  std::string ask(const std::string& command) {
    const auto bytes = command + "\r\n";
    if (::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) return "";
    std::string answer;
    for (char c = 0; ::recv(fd_.get(), &c, 1, 0) == 1 && c != '\n';)
      if (c != '\r') answer += c;
    return answer;
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
};

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
  EXPECT_NE(removed.out.find("'flynn redis dump' keeps it"), std::string::npos) << removed.out;
  EXPECT_TRUE(eventually(60s, [&] { return node().flynn({"apps"}).out.find(service) == std::string::npos; }));
}

TEST_F(Redis, IsReachedByATcpRouteAndOneConnectionOutlivesSwapsOfTheRouter) {
  given_app("static-site", "reached");
  const auto resource = node().flynn({"-a", "reached", "resource", "add", "redis"}, {.timeout = 120s});
  ASSERT_TRUE(resource.ok()) << resource.out << node().log();
  const auto service = variable("reached", "FLYNN_REDIS");
  const int port = node().ports().tcp;
  EXPECT_FALSE(Line(port).connected()) << "nobody listens before there is a route";

  const auto added =
      node().flynn({"-a", service, "route", "add", "tcp", "-s", service, "-p", std::to_string(port), "--leader"});
  ASSERT_TRUE(added.ok()) << added.out << node().log();
  EXPECT_NE(added.out.find("listening on port " + std::to_string(port)), std::string::npos) << added.out;
  ASSERT_TRUE(eventually(20s, [&] { return Line(port).connected(); })) << node().log();
  Line kept(port);
  ASSERT_EQ(kept.ask("AUTH " + variable("reached", "REDIS_PASSWORD")), "+OK") << node().log();
  const auto id = kept.ask("CLIENT ID");
  ASSERT_TRUE(id.starts_with(":")) << id;

  for (int i = 0; i < 3; ++i) {
    const auto swapped = node().flynn({"plugin", "swap", "router", node().plugin_path("router")});
    ASSERT_TRUE(swapped.ok()) << swapped.out << node().log();
    EXPECT_EQ(kept.ask("CLIENT ID"), id) << "the same connection, still logged in";
    EXPECT_EQ(Line(port).ask("PING"), "-NOAUTH Authentication required.") << "a new one";
  }

  const auto route = added.out.substr(added.out.find("tcp/"), 4 + 36);
  const auto removed = node().flynn({"-a", service, "route", "remove", route});
  ASSERT_TRUE(removed.ok()) << removed.out;
  EXPECT_TRUE(eventually(20s, [&] { return !Line(port).connected(); }));
  EXPECT_EQ(kept.ask("CLIENT ID"), id) << "it lives on";
  EXPECT_TRUE(node().flynn({"-a", "reached", "resource", "remove", "redis"}, {.timeout = 60s}).ok());
}

}  // namespace
}  // namespace flynn::e2e
