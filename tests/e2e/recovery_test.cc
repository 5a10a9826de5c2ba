// What survives: the host process killed under traffic, and a reboot-like restart.
#include <signal.h>

#include "http_load.h"
#include "world.h"

namespace flynn::e2e {
namespace {

class Recovery : public WorldTest {
 protected:
  // The containers' init processes, as the kernel sees them: they must be the same before and after.
  static std::string containers() {
    const auto list = node().call("flynn.host/1", "List", {});
    std::map<std::string, std::string> by_id;
    if (const auto* jobs = find_array(list, "jobs"))
      for (const auto& job : *jobs)
        if (string_or(job.as_object(), "state") == "up")
          by_id[string_or(job.as_object(), "id")] = string_or(job.as_object(), "started_at");
    std::string text;
    for (const auto& [id, started] : by_id) text += id + " " + started + "\n";
    return text;
  }
};

TEST_F(Recovery, OfTheHostProcessKilledUnderTrafficKeepsTheContainers) {
  given_app("node-hello", "steady");
  ASSERT_TRUE(node().flynn({"-a", "steady", "scale", "web=2"}).ok());
  const auto before = containers();
  ASSERT_FALSE(before.empty());
  const pid_t host = node().host_pid();
  ASSERT_GT(host, 1);

  HttpLoad load(node().ports().http, "steady.flynn.localhost", 8);
  ASSERT_EQ(::kill(host, SIGKILL), 0);
  const bool back =
      eventually(60s, [&] { return node().host_pid() > 1 && node().host_pid() != host && node().healthy(); });
  const auto counts = load.stop();

  EXPECT_TRUE(back) << node().log();
  EXPECT_EQ(containers(), before) << "the same jobs, started when they were";
  EXPECT_EQ(jobs_up("steady", "web"), 2);
  // Requests that were inside the killed process are lost; a connection is never refused, for the keeper holds the
  // sockets.
  EXPECT_NE(counts.first_failure, "connect: refused");
  expect_page("steady", "ello");
}

TEST_F(Recovery, OfEverythingComesBackWithNothingTyped) {
  given_app("node-hello", "steady");
  ASSERT_TRUE(node().stop());
  const auto purged = node().purge();
  ASSERT_TRUE(purged.ok()) << purged.out;
  run({"rm", "-rf", node().root() + "/run"});

  ASSERT_TRUE(node().start()) << node().log();

  EXPECT_TRUE(
      eventually(60s, [] { return node().get("steady.flynn.localhost").out.find("ello") != std::string::npos; }))
      << node().get("steady.flynn.localhost").out << node().flynn({"-a", "steady", "ps", "-a"}).out << node().log();
}

}  // namespace
}  // namespace flynn::e2e
