// The real program against a controller on a real socket.
#include <git2.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "audit_file.h"
#include "documents.h"
#include "plugin_signature.h"
#include "test_admin_socket.h"
#include "test_controller.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

constexpr const char* kGitUrl = "ssh://git@127.0.0.1:2222";

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Cli : ::testing::Test {
  TestController controller;
  Program flynn;

  void SetUp() override {
    const auto added =
        flynn.run({"cluster", "add", "--git-url", kGitUrl, "default", controller.url(), TestController::kKey});
    ASSERT_EQ(added.code, 0) << added.err;
  }

  Outcome run(const std::vector<std::string>& args, const std::string& input = {}) {
    Outcome outcome = flynn.run(args, input);
    EXPECT_EQ((outcome.out + outcome.err).find(TestController::kKey), std::string::npos) << "the key was printed";
    return outcome;
  }

  bool asked(const std::string& request) {
    const auto all = controller.requests();
    return std::find(all.begin(), all.end(), request) != all.end();
  }
};

TEST_F(Cli, KeepsItsRcFilePrivate) {
  struct stat info {};
  ASSERT_EQ(stat((flynn.folder() + "/flynnrc").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(Cli, RefusesAClusterWithAWrongKey) {
  const auto added =
      flynn.run({"cluster", "add", "--git-url", "ssh://git@x", "-f", "default", controller.url(), "wrong"});

  EXPECT_EQ(added.code, 4);
  EXPECT_NE(added.err.find("401"), std::string::npos) << added.err;
  EXPECT_EQ(run({"apps"}).code, 0) << "the old entry must stay";
}

TEST_F(Cli, CreatesAnAppAndItsRemoteAndFindsTheAppByIt) {
  git_libgit2_init();
  git_repository* repository = nullptr;
  ASSERT_EQ(git_repository_init(&repository, flynn.folder().c_str(), 0), 0);

  const auto created = run({"create", "-y", "hello"});

  EXPECT_EQ(created.err, "Created hello\nundo: flynn -a hello delete\n");
  git_remote* remote = nullptr;
  ASSERT_EQ(git_remote_lookup(&remote, repository, "flynn"), 0);
  EXPECT_STREQ(git_remote_url(remote), "ssh://git@127.0.0.1:2222/hello.git");
  git_remote_free(remote);
  git_repository_free(repository);
  EXPECT_EQ(run({"info"}).out, "=== hello\nGit URL:  ssh://git@127.0.0.1:2222/hello.git\n")
      << "the app comes from the remote";

  const auto deleted = run({"delete", "-y"});
  EXPECT_EQ(deleted.err.find("Deleted hello (removed 1 routes, deleted 2 releases, deprovisioned 0 resources)\n"), 0U);
  EXPECT_NE(deleted.err.find("no undo: "), std::string::npos);
  EXPECT_NE(run({"info"}).err.find("no app found"), std::string::npos) << "the remote went with the app";
}

TEST_F(Cli, TellsWhyANameIsTaken) {
  controller.add_app("hello");
  const auto created = run({"create", "hello"});
  EXPECT_EQ(created.code, 6);
  EXPECT_EQ(created.err.find("object_exists: application \"hello\" already exists\n"), 0U) << created.err;
  EXPECT_TRUE(created.err.ends_with("\ncode: name-taken\n")) << created.err;
}

TEST_F(Cli, SetsEnvWithoutAReleaseAndGoesOnFromThere) {
  controller.add_app("web");

  ASSERT_EQ(run({"-a", "web", "env", "set", "A=1", "B=x=y"}).code, 0);
  ASSERT_EQ(run({"-a", "web", "env", "unset", "A"}).code, 0);

  EXPECT_EQ(run({"-a", "web", "env"}).out, "B=x=y\n");
  EXPECT_EQ(text_of(controller.release_of("web"), "app_id"), "id-web");
  EXPECT_EQ(run({"-a", "web", "env", "get", "A"}).code, 3);
}

TEST_F(Cli, ScalesAndWaitsForTheEvent) {
  controller.add_app("web");
  ASSERT_EQ(run({"-a", "web", "env", "set", "A=1"}).code, 0);

  const auto scaled = run({"-a", "web", "scale", "web=2"});

  EXPECT_EQ(scaled.code, 0) << scaled.err;
  EXPECT_EQ(scaled.out.find("scaling web: 0=>2\n\n"), 0U) << scaled.out;
  EXPECT_NE(scaled.out.find(" ==> web h-9 up\n"), std::string::npos) << scaled.out;
  EXPECT_NE(scaled.out.find("\n\nscale completed in "), std::string::npos) << scaled.out;
}

TEST_F(Cli, ReportsAFailedDeploymentInItsOwnWords) {
  controller.add_app("web");
  ASSERT_EQ(run({"-a", "web", "env", "set", "A=1"}).code, 0);
  ASSERT_EQ(run({"-a", "web", "scale", "web=1"}).code, 0);

  const auto failed = run({"-a", "web", "env", "set", "BREAK=yes"});

  EXPECT_EQ(failed.code, 1);
  EXPECT_NE(failed.err.find("failed: web job failed to start\n"), std::string::npos) << failed.err;
  EXPECT_EQ(run({"-a", "web", "env", "set", "A=2"}).code, 0);
}

struct RunJob : Cli {
  void SetUp() override {
    Cli::SetUp();
    controller.add_app("web");
    const std::string file = flynn.folder() + "/release.json";
    std::ofstream(file) << R"({"artifacts":["image"],"env":{"A":"1"}})";
    ASSERT_EQ(flynn.run({"-a", "web", "env", "set", "A=1"}).code, 0);
    ASSERT_EQ(flynn.run({"-a", "web", "release", "update", file}).code, 0);
  }
};

TEST_F(RunJob, PassesStreamsAndTheExitCode) {
  const auto ran = run({"-a", "web", "run", "--", "cat", "-n"}, "line\n");

  EXPECT_EQ(ran.code, 7) << ran.err;
  EXPECT_EQ(ran.out, "[\"cat\",\"-n\"]\nline\n");
  EXPECT_EQ(ran.err, "done\n");
}

TEST_F(RunJob, MovesMoreThanTheBuffersHoldBothWaysAtOnce) {
  std::string big;
  for (int i = 0; big.size() < (4U << 20U); ++i) big += std::to_string(i) + '\n';

  const auto ran = run({"-a", "web", "run", "cat"}, big);

  EXPECT_EQ(ran.code, 7) << ran.err;
  EXPECT_TRUE(ran.out == "[\"cat\"]\n" + big) << ran.out.size() << " of " << big.size() << " bytes";
}

TEST_F(RunJob, PassesASignalToTheJobAndTakesItsExitCode) {
  const auto ran = flynn.run_and_signal({"-a", "web", "run", "sleep"}, SIGTERM);

  EXPECT_EQ(ran.code, 128 + SIGTERM) << ran.err;
  EXPECT_EQ(controller.signals(), std::vector<int>{SIGTERM});
}

TEST_F(Cli, RefusesToRunInAPlugin) {
  controller.add_app("router");
  controller.make_plugin("router");

  const auto ran = run({"-a", "router", "run", "ls"});

  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("is a plugin of the node"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find("git push"), std::string::npos) << ran.err;
}

TEST_F(Cli, RefusesToRunWithoutAnImage) {
  controller.add_app("web");
  ASSERT_EQ(run({"-a", "web", "env", "set", "A=1"}).code, 0);
  const auto ran = run({"-a", "web", "run", "ls"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("push a release first"), std::string::npos) << ran.err;
}

TEST_F(Cli, ShowsJobsAndLogs) {
  controller.add_app("web");
  EXPECT_EQ(run({"-a", "web", "ps", "-q"}).out, "h-2\n");
  EXPECT_EQ(run({"-a", "web", "ps", "-a", "-q"}).out, "h-1\nh-2\n");
  EXPECT_EQ(run({"-a", "web", "log"}).out,
            "2026-01-31T12:00:00.500000Z app[web.h-1]: hello\n2026-01-31T12:00:01.000000Z app[web.h-1]: oops\n");
  const auto split = run({"-a", "web", "log", "-r", "-s"});
  EXPECT_EQ(split.out, "hello\n");
  EXPECT_EQ(split.err, "oops\n");
}

TEST_F(Cli, SaysWhatToDoWhenTheControllerIsGone) {
  Program other;
  std::string gone;
  {
    const TestController short_lived;
    gone = short_lived.url();
    ASSERT_EQ(other.run({"cluster", "add", "--no-git", "default", gone, "k"}).code, 0);
  }
  const auto apps = other.run({"apps"});
  EXPECT_EQ(apps.code, 5);
  EXPECT_NE(apps.err.find("connect to the controller at " + gone + ": "), std::string::npos) << apps.err;
  EXPECT_NE(apps.err.find("scripts/up"), std::string::npos) << apps.err;
}

TEST(CliPlugin, SignsAFileAndKeepsWhatOtherKeysSigned) {
  Program flynn;
  const auto file = flynn.folder() + "/x.so";
  std::ofstream(file) << "the plugin";
  ASSERT_EQ(flynn.run({"plugin", "keygen", "acme", "--plugins", "router, store"}).code, 0);
  ASSERT_EQ(flynn.run({"plugin", "keygen", "umbrella"}).code, 0);

  EXPECT_EQ(flynn.run({"plugin", "keygen", "acme"}).code, 1) << "a key is never written over";
  EXPECT_EQ(flynn.run({"plugin", "sign", "acme.pem", "x.so"}).code, 1) << "the public half signs nothing";
  for (const char* key : {"acme.key.pem", "umbrella.key.pem", "acme.key.pem"})
    EXPECT_EQ(flynn.run({"plugin", "sign", key, "x.so"}).code, 0) << key;
  const auto both = core::parse_signatures(content(file + ".sig"));
  ASSERT_TRUE(both.ok());
  ASSERT_EQ(both->size(), 2U);
  const auto key = core::SigningKey::public_from_pem(content(flynn.folder() + "/acme.pem"));
  EXPECT_TRUE(key->verifies(both->back(), both->back().digest));

  std::ofstream(file, std::ios::app) << ", changed";
  ASSERT_EQ(flynn.run({"plugin", "sign", "acme.key.pem", "x.so"}).code, 0);
  EXPECT_EQ(core::parse_signatures(content(file + ".sig"))->size(), 1U) << "the other one was for another file";
  ::chmod((flynn.folder() + "/acme.key.pem").c_str(), 0644);
  EXPECT_NE(flynn.run({"plugin", "sign", "acme.key.pem", "x.so"}).err.find("chmod 600"), std::string::npos);
}

TEST(CliPlugin, ChecksAnAuditLogOffLineAndNamesTheBrokenLine) {
  Program flynn;
  const auto file = flynn.folder() + "/audit.ndjson";
  {
    auto log = core::AuditFile::open(file, "node1");
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->append({{"action", "swap"}, {"outcome", "committed"}}).ok());
  }

  const auto absent = flynn.run({"plugin", "audit", "--verify", "absent.ndjson"});
  EXPECT_EQ(absent.code, 1);
  EXPECT_NE(absent.err.find("code: file-unreadable"), std::string::npos) << absent.err;
  const auto whole = flynn.run({"plugin", "audit", "--verify", "audit.ndjson"});
  auto text = content(file);
  text.replace(text.find("committed"), 9, "forgotten");
  std::ofstream(file) << text;
  const auto broken = flynn.run({"plugin", "audit", "--verify", "audit.ndjson"});

  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_NE(whole.out.find("is whole: 4 entries"), std::string::npos) << whole.out;
  EXPECT_EQ(broken.code, 1);
  EXPECT_NE(broken.err.find("line 2: "), std::string::npos) << broken.err;
}

TEST(CliPlugin, SaysThatASlotHasNoHistory) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  AdminSocket host(path, {{"plugin.history", R"({"result":{"entries":[]}})"
                                             "\n"}});
  flynn.set("FLYNN_ADMIN_SOCKET", path);

  const auto none = flynn.run({"plugin", "history", "rooter"});

  EXPECT_EQ(none.code, 3) << none.err;
  EXPECT_NE(none.err.find("no entry of a slot \"rooter\""), std::string::npos) << none.err;
}

TEST(CliPlugin, NamesThePluginThatAskedForAChange) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  AdminSocket host(path,
                   {{"plugin.history", R"({"result":{"entries":[{"seq":7,"at":"then","by":{"plugin":"controller"},)"
                                       R"("slot":"router","action":"configure","outcome":"live"}]}})"
                                       "\n"}});
  flynn.set("FLYNN_ADMIN_SOCKET", path);

  const auto table = flynn.run({"plugin", "history"});

  EXPECT_NE(table.out.find("plugin controller  router"), std::string::npos) << table.out;
  EXPECT_EQ(table.out.find("uid 0"), std::string::npos) << "root did nothing: " << table.out;
}

TEST(CliPlugin, RefusesAPathOrADigestThatIsNone) {
  Program flynn;

  EXPECT_EQ(flynn.run({"plugin", "swap", "router", ""}).code, 2);
  EXPECT_EQ(flynn.run({"plugin", "swap", "router", "", "--plan"}).code, 255);
  EXPECT_EQ(flynn.run({"plugin", "audit", "/nowhere", "--head", "abc"}).code, 2);
}

TEST(CliPlugin, ShowsTheHistoryAsATable) {
  Program flynn;
  const std::string path = flynn.folder() + "/admin.sock";
  AdminSocket host(path,
                   {{"plugin.history",
                     R"({"result":{"entries":[{"seq":7,"at":"2026-01-31T12:00:00.000Z","by":{"uid":0,"user":"root",)"
                     R"("program":"flynn"},"slot":"router","action":"swap","from":{"version":"1.0.0"},)"
                     R"("to":{"version":"1.1.0","digest":"0123456789abcdef"},"outcome":"committed"}]}})"
                     "\n"}});
  flynn.set("FLYNN_ADMIN_SOCKET", path);

  const auto table = flynn.run({"plugin", "history", "router"});
  const auto lines = flynn.run({"plugin", "history", "--json"});

  EXPECT_NE(table.out.find(
                "7    2026-01-31T12:00:00.000Z  root/flynn  router  swap    1.0.0  1.1.0 (0123456789ab)  committed"),
            std::string::npos)
      << table.out;
  EXPECT_EQ(lines.out.find(R"({"seq":7,)"), 0U) << lines.out;
}

TEST(CliTls, TalksToThePinnedCertificateOnly) {
  TestController controller(Tls::kYes);
  controller.add_app("web");
  Program flynn;
  const std::string url = controller.url();
  const std::string wrong = "KGCENkp53YF5OvOKkZIry71+czFRkSw2ZdMszZ/0ljs=";
  std::ofstream(flynn.folder() + "/flynnrc")
      << "[[cluster]]\nName = \"good\"\nControllerURL = \"" << url << "\"\nKey = \"" << TestController::kKey
      << "\"\nTLSPin = \"" << controller.pin() << "\"\n[[cluster]]\nName = \"bad\"\nControllerURL = \"" << url
      << "\"\nKey = \"" << TestController::kKey << "\"\nTLSPin = \"" << wrong
      << "\"\n[[cluster]]\nName = \"none\"\nControllerURL = \"" << url << "\"\nKey = \"" << TestController::kKey
      << "\"\n";

  const auto bad = flynn.run({"-c", "bad", "apps"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("the peer leaf certificate did not match the provided pin"), std::string::npos) << bad.err;
  EXPECT_EQ(flynn.run({"-c", "none", "apps"}).code, 1) << "a self-signed certificate needs its pin";
  EXPECT_TRUE(controller.requests().empty()) << "the key was sent to a server that was not proven";

  const auto good = flynn.run({"-c", "good", "apps"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(good.out, "ID      NAME\nid-web  web\n");

  const std::string file = flynn.folder() + "/release.json";
  std::ofstream(file) << R"({"artifacts":["image"]})";
  ASSERT_EQ(flynn.run({"-c", "good", "-a", "web", "env", "set", "A=1"}).code, 0);
  ASSERT_EQ(flynn.run({"-c", "good", "-a", "web", "release", "update", file}).code, 0);
  std::string big(3U << 20U, 'x');
  const auto ran = flynn.run({"-c", "good", "-a", "web", "run", "cat"}, big);
  EXPECT_EQ(ran.code, 7) << ran.err;
  EXPECT_EQ(ran.out.size(), big.size() + std::string("[\"cat\"]\n").size());
}

}  // namespace
}  // namespace flynn::cli::testing
