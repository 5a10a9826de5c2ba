// The client on the real node: into running jobs, maintenance, who changed what, plans, and the terminal.
#include "world.h"

namespace flynn::e2e {
namespace {

class Client : public WorldTest {
 protected:
  void SetUp() override {
    WorldTest::SetUp();
    given_app("node-hello", "hello");
  }
  static Outcome flynn(Args args) {
    args.insert(args.begin(), {"-a", "hello"});
    return node().flynn(args);
  }
  static std::string status_of(const std::string& host) {
    return node().get(host, "/", {"-o", "/dev/null", "-w", "%{http_code}"}).out;
  }
};

TEST_F(Client, RunsACommandInARunningJobWithItsEnvironmentAndExitCode) {
  const auto ran = flynn({"exec", "bash", "-c", "echo port=$PORT pid1=$(tr '\\0' ' ' </proc/1/cmdline); exit 9"});

  EXPECT_EQ(ran.exit_code, 9) << ran.out << node().log();
  EXPECT_NE(ran.out.find("port=8080"), std::string::npos) << ran.out;
  EXPECT_EQ(jobs_up("hello", "web"), 1) << "a job of its own would be no exec";
}

TEST_F(Client, MovesALargeInputThroughExec) {
  const std::string line = std::string(FLYNN_PROGRAM) + " -a hello exec -- sha256sum";
  const auto big = node().root() + "/big";
  run({"bash", "-c", "head -c 5000000 /dev/urandom >" + big});
  const auto here = run({"sha256sum", big});

  const auto there = node().shell(line + " <" + big);

  EXPECT_EQ(there.out.substr(0, 64), here.out.substr(0, 64)) << there.out;
}

TEST_F(Client, EndsTheCommandWhenItsClientHasGone) {
  node().shell("timeout 2 " + std::string(FLYNN_PROGRAM) + " -a hello exec -- sh -c 'echo up; exec sleep 4321'");

  EXPECT_TRUE(eventually(15s, [] { return !run({"pgrep", "-f", "^sleep 4321"}).ok(); }));
}

TEST_F(Client, GivesExecATerminalOfItsOwn) {
  const std::string session = "flynn-client-test";
  node().shell("tmux -L " + session + " new-session -d -x 100 -y 30 '" + FLYNN_PROGRAM + " -a hello exec sh'");
  const auto screen = [&] { return run({"tmux", "-L", session, "capture-pane", "-p"}).out; };
  EXPECT_TRUE(eventually(15s, [&] { return screen().find_first_not_of(" \n") != std::string::npos; }));

  run({"tmux", "-L", session, "send-keys", "tty; stty size", "Enter"});
  EXPECT_TRUE(eventually(15s, [&] { return screen().find("30 100") != std::string::npos; })) << screen();
  EXPECT_NE(screen().find("/dev/pts/"), std::string::npos) << screen();
  run({"tmux", "-L", session, "resize-window", "-x", "90", "-y", "20"});
  EXPECT_TRUE(eventually(15s, [&] {
    run({"tmux", "-L", session, "send-keys", "stty size", "Enter"});
    return screen().find("20 90") != std::string::npos;
  })) << screen();

  run({"tmux", "-L", session, "kill-server"});
}

TEST_F(Client, ShowsProgressOnATerminalAndLeavesNoneOfIt) {
  const std::string session = "flynn-progress-test", seen = node().root() + "/terminal";
  node().shell("tmux -L " + session + " new-session -d -x 80 -y 20 'exec bash'");
  run({"tmux", "-L", session, "pipe-pane", "cat >" + seen});

  run({"tmux", "-L", session, "send-keys", std::string(FLYNN_PROGRAM) + " -a hello env set SHADE=dark", "Enter"});
  const auto screen = [&] { return run({"tmux", "-L", session, "capture-pane", "-p"}).out; };
  EXPECT_TRUE(eventually(60s, [&] { return screen().find("undo: ") != std::string::npos; })) << screen();

  EXPECT_NE(run({"cat", seen}).out.find("deploying release"), std::string::npos) << "it was shown";
  EXPECT_EQ(screen().find("deploying release"), std::string::npos) << screen();
  EXPECT_EQ(flynn({"env", "set", "SHADE=light"}).out.find("deploying"), std::string::npos) << "not through a pipe";
  run({"tmux", "-L", session, "send-keys", "clear; " + std::string(FLYNN_PROGRAM) + " -a hello releases", "Enter"});
  EXPECT_TRUE(eventually(15s, [&] { return screen().find("CHANGED") != std::string::npos; })) << screen();
  EXPECT_NE(screen().find("…"), std::string::npos) << "80 columns are too few for the whole table: " << screen();
  EXPECT_EQ(flynn({"releases"}).out.find("…"), std::string::npos) << "through a pipe nothing is cut";
  run({"tmux", "-L", session, "kill-server"});
}

TEST_F(Client, LeadsAPortOfThisMachineIntoTheJob) {
  const std::string log = node().root() + "/forward.log";
  const Background forward = node().start_flynn({"-a", "hello", "port-forward", "0:8080"}, log);
  const auto output = [&] { return run({"cat", log}).out; };
  ASSERT_TRUE(eventually(15s, [&] { return output().find("Forwarding") != std::string::npos; })) << output();
  const std::string text = output();
  const auto colon = text.find("127.0.0.1:") + 10;
  const std::string port = text.substr(colon, text.find(' ', colon) - colon);

  const auto page = run({"curl", "-sS", "--max-time", "10", "http://127.0.0.1:" + port + "/"});

  EXPECT_NE(page.out.find("ello"), std::string::npos) << page.out << output();
}

TEST_F(Client, ClosesAnAppForMaintenanceAcrossARestartOfTheRouter) {
  ASSERT_EQ(status_of("hello.flynn.localhost"), "200");

  const auto on = flynn({"maintenance", "on"});

  EXPECT_NE(on.out.find("undo: flynn -a hello maintenance off"), std::string::npos) << on.out;
  EXPECT_TRUE(eventually(5s, [] { return status_of("hello.flynn.localhost") == "503"; }));
  ASSERT_TRUE(node().flynn({"plugin", "swap", "router", node().plugin_path("router")}).ok());
  ASSERT_TRUE(flynn({"route", "add", "http", "late.flynn.localhost"}).ok());
  EXPECT_TRUE(eventually(5s, [] { return status_of("late.flynn.localhost") == "503"; })) << "a new route is closed too";
  EXPECT_EQ(status_of("hello.flynn.localhost"), "503");
  EXPECT_TRUE(flynn({"maintenance", "off"}).ok());
  EXPECT_TRUE(eventually(5s, [] { return status_of("hello.flynn.localhost") == "200"; }));
}

TEST_F(Client, TellsWhoMadeAReleaseAndWhatItChanged) {
  ASSERT_TRUE(flynn({"env", "set", "COLOUR=green"}).ok());

  const auto releases = flynn({"releases"});
  const auto diff = flynn({"diff"});

  EXPECT_NE(releases.out.find("+env COLOUR"), std::string::npos) << releases.out;
  EXPECT_NE(releases.out.find("git push "), std::string::npos) << releases.out;
  EXPECT_NE(diff.out.find("+ env COLOUR"), std::string::npos) << diff.out;
}

TEST_F(Client, PlansAndUndoesAScale) {
  ASSERT_TRUE(flynn({"scale", "web=1"}).ok());

  const auto planned = flynn({"scale", "web=2", "--plan"});
  EXPECT_EQ(jobs_up("hello", "web"), 1);
  const auto scaled = flynn({"scale", "web=2"});

  EXPECT_NE(planned.out.find("would scale web of hello from 1 to 2\nundo: flynn -a hello scale web=1"),
            std::string::npos)
      << planned.out;
  EXPECT_NE(scaled.out.find("undo: flynn -a hello scale web=1"), std::string::npos) << scaled.out;
  EXPECT_TRUE(flynn({"scale", "web=1"}).ok());
}

TEST_F(Client, CopiesAnAppByExportAndImport) {
  const std::string archive = node().root() + "/hello.tar";

  const auto exported = flynn({"export", "-f", archive});
  const auto imported = node().flynn({"import", "-f", archive, "-n", "copy"});

  ASSERT_TRUE(exported.ok()) << exported.out;
  ASSERT_TRUE(imported.ok()) << imported.out << node().log();
  EXPECT_NE(imported.out.find("undo: flynn -a copy delete"), std::string::npos) << imported.out;
  EXPECT_TRUE(eventually(30s, [] { return status_of("copy.flynn.localhost") == "200"; }))
      << node().flynn({"-a", "copy", "ps", "-a"}).out;
  EXPECT_TRUE(node().flynn({"-a", "copy", "delete", "-y"}).ok());
}

TEST_F(Client, FindsNothingWrongWithAHealthyNode) {
  ASSERT_TRUE(flynn({"scale", "web=1"}).ok());

  const auto checked = flynn({"doctor"});

  EXPECT_TRUE(checked.ok()) << checked.out;
  EXPECT_NE(checked.out.find("ok  web: 1 of 1 jobs up"), std::string::npos) << checked.out;
}

}  // namespace
}  // namespace flynn::e2e
