// The way of a push, as a user walks it: git over SSH, the build, the URL, and the commands on the running app.
#include <signal.h>

#include "world.h"

namespace flynn::e2e {
namespace {

class Push : public WorldTest {};

TEST_F(Push, OfEachKindOfAppAnswersAtItsUrl) {
  for (const auto& [sample, app] : std::map<std::string, std::string>{{"node-hello", "hello"},
                                                                      {"python-hello", "snake"},
                                                                      {"static-site", "site"},
                                                                      {"procfile-hello", "shell"},
                                                                      {"c-hello", "native"}}) {
    const auto pushed = node().push_sample(sample, app);
    ASSERT_TRUE(pushed.ok()) << sample << "\n" << pushed.out << node().log();
    EXPECT_NE(pushed.out.find("=====> Application deployed"), std::string::npos) << pushed.out;
    EXPECT_NE(pushed.out.find("http://" + app + ".flynn.localhost"), std::string::npos)
        << "the push shows the URL: " << pushed.out;
    expect_page(app, "ello");
  }
}

TEST_F(Push, AgainUsesTheBuildCacheAndReplacesTheRelease) {
  given_app("node-hello", "hello");
  const auto before = node().flynn({"-a", "hello", "release", "-q"}).out;
  const std::string folder = node().root() + "/work/hello";
  run({"git", "-C", folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m",
       "second"});

  const auto pushed = node().push(folder);

  ASSERT_TRUE(pushed.ok()) << pushed.out;
  EXPECT_NE(node().flynn({"-a", "hello", "release", "-q"}).out, before);
  expect_page("hello", "ello");
}

TEST_F(Push, LeavesAnAppThatScalesAndListsItsJobs) {
  given_app("node-hello", "hello");

  const auto scaled = node().flynn({"-a", "hello", "scale", "web=3"});

  ASSERT_TRUE(scaled.ok()) << scaled.out;
  EXPECT_NE(scaled.out.find("=>3"), std::string::npos) << scaled.out;
  EXPECT_EQ(jobs_up("hello", "web"), 3);
  ASSERT_TRUE(node().flynn({"-a", "hello", "scale", "web=1"}).ok());
  EXPECT_TRUE(eventually(30s, [] { return jobs_up("hello", "web") == 1; }));
}

TEST_F(Push, LeavesAnAppWhoseEnvironmentCanBeSet) {
  given_app("node-hello", "hello");

  const auto set = node().flynn({"-a", "hello", "env", "set", "GREETING=bonjour"});

  ASSERT_TRUE(set.ok()) << set.out;
  EXPECT_NE(node().flynn({"-a", "hello", "env"}).out.find("GREETING=bonjour"), std::string::npos);
  const auto seen = node().flynn({"-a", "hello", "run", "bash", "-c", "echo $GREETING; exit 7"});
  EXPECT_NE(seen.out.find("bonjour"), std::string::npos) << seen.out;
  EXPECT_EQ(seen.exit_code, 7) << seen.out;
}

TEST_F(Push, LeavesAnAppThatRollsBack) {
  given_app("node-hello", "hello");
  ASSERT_TRUE(node().flynn({"-a", "hello", "env", "set", "COLOUR=green"}).ok());
  ASSERT_TRUE(node().flynn({"-a", "hello", "env", "set", "COLOUR=red"}).ok());

  const auto back = node().flynn({"-a", "hello", "release", "rollback", "-y"});

  ASSERT_TRUE(back.ok()) << back.out;
  EXPECT_NE(node().flynn({"-a", "hello", "env"}).out.find("COLOUR=green"), std::string::npos);
}

TEST_F(Push, LeavesAnAppWhoseLogIsKept) {
  given_app("node-hello", "hello");

  EXPECT_TRUE(eventually(15s, [] {
    return node().flynn({"-a", "hello", "log"}).out.find("app[web.") != std::string::npos;
  })) << node().flynn({"-a", "hello", "log"}).out;
}

TEST_F(Push, RunTakesStandardInput) {
  given_app("node-hello", "hello");

  const auto seen = node().flynn({"-a", "hello", "run", "cat"}, {.input = "through the frames\n"});

  EXPECT_EQ(seen.exit_code, 0);
  EXPECT_NE(seen.out.find("through the frames"), std::string::npos) << seen.out;
}

TEST_F(Push, OfACrashingReleaseIsRolledBackByItself) {
  given_app("node-hello", "frail");
  const auto before = node().flynn({"-a", "frail", "release", "-q"}).out;
  const std::string folder = node().root() + "/work/frail";
  run({"bash", "-c",
       "printf 'web: exit 3\\n' > Procfile && git add -A && git -c user.name=t -c user.email=t@t commit -qm crash"},
      {.folder = folder});

  const auto pushed = node().push(folder);

  EXPECT_FALSE(pushed.ok()) << pushed.out;
  EXPECT_NE(pushed.out.find("ERROR"), std::string::npos) << pushed.out;
  expect_page("frail", "ello");
  EXPECT_EQ(node().flynn({"-a", "frail", "info"}).ok(), true);
  EXPECT_GE(jobs_up("frail", "web"), 1) << "the release before " << before << " serves on";
}

TEST_F(Push, ResourceGivesADatabaseThatSurvivesItsJob) {
  given_app("node-hello", "hello");

  const auto added = node().flynn({"-a", "hello", "resource", "add", "postgres"}, {.timeout = 240s});

  ASSERT_TRUE(added.ok()) << added.out << node().log();
  EXPECT_NE(node().flynn({"-a", "hello", "env"}).out.find("DATABASE_URL=postgres"), std::string::npos);
  const auto made = node().flynn({"-a", "hello", "pg", "psql", "--", "-c", "create table t as select 42 as answer"});
  ASSERT_TRUE(made.ok()) << made.out;
  ASSERT_TRUE(node().flynn({"-a", "postgres", "scale", "postgres=0"}).ok());
  ASSERT_TRUE(node().flynn({"-a", "postgres", "scale", "postgres=1"}).ok());
  const auto file = node().root() + "/hello.dump";
  const auto dumped = node().flynn({"-a", "hello", "pg", "dump", "-f", file});
  ASSERT_TRUE(dumped.ok()) << dumped.out;
  ASSERT_TRUE(node().flynn({"-a", "hello", "pg", "psql", "--", "-c", "update t set answer = 0"}).ok());
  const auto restored = node().flynn({"-a", "hello", "pg", "restore", "-f", file});
  ASSERT_TRUE(restored.ok()) << restored.out;
  const auto read = node().flynn({"-a", "hello", "pg", "psql", "--", "-tc", "select answer from t"});
  EXPECT_NE(read.out.find("42"), std::string::npos) << read.out;
}

TEST_F(Push, DeleteRemovesTheAppAndItsRoute) {
  given_app("static-site", "gone");

  const auto deleted = node().flynn({"-a", "gone", "delete", "-y"});

  ASSERT_TRUE(deleted.ok()) << deleted.out;
  EXPECT_TRUE(eventually(15s, [] {
    return node().get("gone.flynn.localhost", "/", {"-o", "/dev/null", "-w", "%{http_code}"}).out == "404";
  }));
  EXPECT_EQ(node().flynn({"apps"}).out.find("gone"), std::string::npos);
}

}  // namespace
}  // namespace flynn::e2e
