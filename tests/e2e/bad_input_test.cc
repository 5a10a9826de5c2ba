// Bad input gets a clear error and loses nothing.
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <filesystem>
#include <fstream>

#include "world.h"

namespace flynn::e2e {
namespace {

class BadInput : public WorldTest {
 protected:
  // Pushes these files as a new app and gives what git printed.
  static Outcome push_files(const std::string& app, const std::map<std::string, std::string>& files) {
    const auto folder = node().make_repository(app, files);
    const auto created = node().flynn({"create", "-y", app}, {.folder = folder});
    EXPECT_TRUE(created.ok()) << created.out;
    return node().push(folder);
  }

  static std::string builder_config(int build_timeout_ms) {
    return json::serialize(json::object{{"buildpacks_dir", std::string(FLYNN_SOURCE_DIR) + "/buildpacks"},
                                        {"session_program", FLYNN_GIT_SESSION},
                                        {"build_timeout_ms", build_timeout_ms}});
  }

  static void expect_refused(const Outcome& push, const std::string& words) {
    EXPECT_FALSE(push.ok());
    EXPECT_NE(push.out.find("ERROR"), std::string::npos) << push.out;
    EXPECT_NE(push.out.find(words), std::string::npos) << "it should say \"" << words << "\":\n" << push.out;
  }
};

TEST_F(BadInput, PushWithoutARecognisableAppSaysSo) {
  expect_refused(push_files("bare", {{"notes.txt", "nothing to run\n"}}), "Unable to select a buildpack");
}

TEST_F(BadInput, PushWithABrokenProcfileNamesTheLine) {
  expect_refused(push_files("typo", {{"Procfile", "web: true\nthis is not a process\n"}}), "line 2");
}

TEST_F(BadInput, PushWhoseBuildFailsShowsTheCompilersWords) {
  expect_refused(
      push_files("broken",
                 {{"Makefile", "all:\n\tgcc -o app app.c\n"}, {"app.c", "int main( {"}, {"Procfile", "web: ./app\n"}}),
      "app.c:1");
}

TEST_F(BadInput, PushWhoseBuildHangsIsStoppedAtTheLimit) {
  ASSERT_TRUE(node().flynn({"plugin", "configure", "builder", builder_config(4'000)}).ok());

  expect_refused(push_files("hanging", {{"Makefile", "all:\n\ttail -f /dev/null\n"}, {"Procfile", "web: ./app\n"}}),
                 "build_timeout_ms");

  EXPECT_TRUE(node().flynn({"plugin", "configure", "builder", builder_config(900'000)}).ok());
}

// A disk of its own, shrunk to what is in use: pushes fail with the reason, what ran goes on, and with room again so do
// pushes.
TEST(BadInputFullDisk, FailsThePushAndNothingElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: a tmpfs is mounted";
  Node small;
  std::filesystem::create_directories(small.data_dir());
  ASSERT_EQ(::mount("tmpfs", small.data_dir().c_str(), "tmpfs", 0, "size=2g"), 0);
  ASSERT_TRUE(small.start()) << small.log();
  ASSERT_TRUE(small.introduce()) << small.log();
  ASSERT_TRUE(small.push_sample("node-hello", "before").ok());
  struct statvfs usage {};
  ASSERT_EQ(::statvfs(small.data_dir().c_str(), &usage), 0);
  const auto used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize;
  ASSERT_EQ(::mount("tmpfs", small.data_dir().c_str(), "tmpfs", MS_REMOUNT, ("size=" + std::to_string(used)).c_str()),
            0);

  const auto refused = small.push_sample("static-site", "full");

  EXPECT_FALSE(refused.ok());
  EXPECT_TRUE(refused.out.find("No space left") != std::string::npos || refused.out.find("full") != std::string::npos)
      << refused.out;
  EXPECT_NE(small.get("before.flynn.localhost").out.find("ello"), std::string::npos) << "what ran goes on";
  ASSERT_EQ(::mount("tmpfs", small.data_dir().c_str(), "tmpfs", MS_REMOUNT, "size=2g"), 0);
  EXPECT_TRUE(eventually(30s, [&] { return small.healthy(); })) << small.log();
  const auto pushed = small.push_sample("static-site", "room");
  EXPECT_TRUE(pushed.ok()) << pushed.out << small.log();
  small.stop();
  const auto purged = small.purge();
  EXPECT_TRUE(purged.ok()) << purged.out;
  EXPECT_EQ(::umount(small.data_dir().c_str()), 0) << "something still holds the disk";
}

TEST_F(BadInput, PushOfAProcessThatNeverListensNamesThePort) {
  expect_refused(push_files("silent", {{"Procfile", "web: while :; do read -t 60 < <(:); done; tail -f /dev/null\n"}}),
                 "8080");
}

TEST_F(BadInput, PushToAnUnknownAppSaysHowToCreateIt) {
  const auto folder = node().make_repository("stranger", {{"index.html", "x"}});
  run({"git", "-C", folder, "remote", "add", "flynn",
       "ssh://git@127.0.0.1:" + std::to_string(node().ports().ssh) + "/stranger.git"});

  const auto pushed = node().push(folder);

  EXPECT_FALSE(pushed.ok());
  EXPECT_NE(pushed.out.find("flynn create"), std::string::npos) << pushed.out;
}

TEST_F(BadInput, PushWithAnUnknownKeyIsRefused) {
  const std::string key = node().root() + "/other_key";
  run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key});

  const auto answer = run({"ssh", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
                           "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p",
                           std::to_string(node().ports().ssh), "git@127.0.0.1", "git-receive-pack 'hello.git'"});

  EXPECT_NE(answer.exit_code, 0);
  EXPECT_NE(answer.out.find("denied"), std::string::npos) << answer.out;
}

TEST_F(BadInput, NamesThatAreNoneAreRefused) {
  for (const char* name : {"Upper", "under_score", "-dash", "a/../b", "x;rm"}) {
    const auto created = node().flynn({"create", "-y", "-r", "", "--", name});
    EXPECT_FALSE(created.ok()) << name;
    EXPECT_NE(created.out.find("name"), std::string::npos) << created.out;
  }
}

TEST_F(BadInput, AnUnknownAppIsNamed) {
  const auto answer = node().flynn({"-a", "nobody", "ps"});

  EXPECT_FALSE(answer.ok());
  EXPECT_FALSE(answer.out.empty());
}

TEST_F(BadInput, AnUnknownHostGetsA404PageFromTheRouter) {
  EXPECT_EQ(node().get("nobody.flynn.localhost", "/", {"-o", "/dev/null", "-w", "%{http_code}"}).out, "404");
}

TEST_F(BadInput, SwapToSomethingThatIsNoPluginIsRefusedAndTheOldOneServes) {
  const std::string text = node().root() + "/text.so", cut = node().root() + "/cut.so";
  std::ofstream(text) << "this is a letter\n";
  std::ifstream whole(node().plugin_path("router"), std::ios::binary);
  std::string head(20'000, '\0');
  whole.read(head.data(), static_cast<std::streamsize>(head.size()));
  std::ofstream(cut, std::ios::binary) << head;

  for (const std::string& path : {text, cut, std::string("/nowhere.so"), node().plugin_path("store")}) {
    const auto refused = node().flynn({"plugin", "swap", "router", path});
    EXPECT_FALSE(refused.ok()) << path;
    EXPECT_GT(refused.out.size(), 20u) << path;
  }

  EXPECT_TRUE(node().healthy());
  EXPECT_EQ(node().get("nobody.flynn.localhost", "/", {"-o", "/dev/null", "-w", "%{http_code}"}).out, "404");
}

TEST_F(BadInput, AConfigurationThatTheSchemaRefusesNamesTheKey) {
  const std::string config = node().root() + "/bad.toml";
  run({"bash", "-c", "sed 's/^bridge = .*/bridge = 7/' flynn.toml > bad.toml"}, {.folder = node().root()});

  const auto judged = run({FLYNN_HOST_PROGRAM, "check-config", "--config", config});

  EXPECT_FALSE(judged.ok());
  EXPECT_NE(judged.out.find("bridge"), std::string::npos) << judged.out;
}

TEST_F(BadInput, ADataDirInUseIsNamedWithItsKeeper) {
  const auto second = run({FLYNN_HOST_PROGRAM, "run", "--config", node().root() + "/flynn.toml"}, {.timeout = 20s});

  EXPECT_GT(second.exit_code, 0) << second.out;
  EXPECT_NE(second.out.find("is in use by another flynn-host (its keeper is pid "), std::string::npos) << second.out;
  EXPECT_TRUE(node().healthy());
}

TEST_F(BadInput, APortInUseIsNamedWithItsHolder) {
  const std::string config = node().root() + "/second.toml";
  run({"bash", "-c", R"sed(sed -E 's/^(data_dir|run_dir) = "(.*)"$/\1 = "\2-second"/' flynn.toml > second.toml)sed"},
      {.folder = node().root()});

  const auto second = run({FLYNN_HOST_PROGRAM, "run", "--config", config}, {.timeout = 20s});

  EXPECT_GT(second.exit_code, 0) << second.out;
  EXPECT_NE(second.out.find("the port is held by flynn-host"), std::string::npos) << second.out;
}

}  // namespace
}  // namespace flynn::e2e
