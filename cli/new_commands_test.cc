// The commands that Flynn never had, against a controller on a real socket.
#include <Poco/Net/StreamSocket.h>
#include <gtest/gtest.h>

#include "documents.h"
#include "release_diff.h"
#include "test_controller.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

json::object object(const char* text) { return json::parse(text).as_object(); }

TEST(ReleaseDiff, NamesWhatWasAddedChangedAndRemoved) {
  const auto before = object(R"({"artifacts":["a"],"env":{"A":"1","B":"2"},"meta":{"flynn.by":"ada@x"},
                                 "processes":{"web":{"args":["x"],"resources":{"memory":{"limit":1073741824}}}}})");
  const auto after = object(R"({"artifacts":["b"],"env":{"A":"1","B":"3","C":"4"},"meta":{"flynn.by":"bob@x"},
                                "processes":{"web":{"args":["x"],"resources":{"memory":{"limit":536870912}}},"worker":{}}})");

  const auto changes = diff_releases(before, after);

  EXPECT_EQ(summary_of(changes, 9), "env B, +env C, image, web memory, +worker");
  EXPECT_EQ(summary_of(changes, 2), "env B, +env C and 3 more");
  EXPECT_EQ(changes[3].before, "1GB");
  EXPECT_EQ(changes[3].after, "512MB");
  EXPECT_EQ(summary_of(diff_releases(after, after), 9), "no change");
}

TEST(ReleaseDiff, NamesTheMaker) {
  const auto pushed = object(R"({"meta":{"git.commit":"0123456789","flynn.by":"ada@x"}})");

  EXPECT_EQ(maker_of(pushed, {}), "git push 01234567");
  EXPECT_EQ(maker_of(pushed, pushed), "ada@x") << "the same commit: a change of something else";
}

struct NewCommands : ::testing::Test {
  TestController controller;
  Program flynn;

  void SetUp() override {
    ASSERT_EQ(
        flynn.run({"cluster", "add", "--git-url", "ssh://x", "default", controller.url(), TestController::kKey}).code,
        0);
    controller.add_app("web");
  }
};

TEST_F(NewCommands, ReleasesTellWhoAndWhat) {
  ASSERT_EQ(flynn.run({"-a", "web", "env", "set", "A=1"}).code, 0);
  ASSERT_EQ(flynn.run({"-a", "web", "env", "set", "A=2", "B=1"}).code, 0);

  const auto listed = flynn.run({"-a", "web", "releases", "--json"});
  const auto diff = flynn.run({"-a", "web", "diff"});
  const auto values = flynn.run({"-a", "web", "diff", "--values"});

  const json::value document = json::parse(listed.out);
  const json::array& releases = as_array(document);
  ASSERT_EQ(releases.size(), 2U) << listed.out;
  EXPECT_EQ(text_of(as_object(releases[0]), "changed"), "env A, +env B");
  EXPECT_NE(text_of(as_object(releases[0]), "by").find('@'), std::string::npos);
  EXPECT_NE(diff.out.find("\n~ env A\n+ env B\n"), std::string::npos) << diff.out;
  EXPECT_NE(values.out.find("~ env A: 1 => 2"), std::string::npos) << values.out;
}

TEST_F(NewCommands, ExecPassesTheCommandAndTheExitCode) {
  const auto ran = flynn.run({"-a", "web", "exec", "cat", "-n"}, "line\n");

  EXPECT_EQ(ran.code, 7) << ran.err;
  EXPECT_EQ(ran.out, "[\"cat\",\"-n\"]\nline\n");
  EXPECT_EQ(flynn.run({"-a", "web", "exec", "--job", "nobody", "ls"}).code, 3);
}

TEST_F(NewCommands, OpenPrintsTheAddressWithTheClustersPort) {
  controller.add_route("web", R"({"type":"http","domain":"web.test.localhost","path":"/"})");

  const auto opened = flynn.run({"-a", "web", "open", "login"});

  const std::string port = controller.url().substr(controller.url().rfind(':'));
  EXPECT_EQ(opened.out, "http://web.test.localhost" + port + "/login\n") << opened.err;
}

TEST_F(NewCommands, MaintenanceIsSwitchedAndUndone) {
  const auto on = flynn.run({"-a", "web", "maintenance", "on"});

  EXPECT_EQ(on.err, "Maintenance of web is on.\nundo: flynn -a web maintenance off\n");
  EXPECT_EQ(flynn.run({"-a", "web", "maintenance"}).out, "on\n");
  EXPECT_EQ(flynn.run({"-a", "web", "maintenance", "half"}).code, 2);
}

TEST_F(NewCommands, DoctorNamesWhatIsWrongAndWhatToDo) {
  const auto healthy = flynn.run({"doctor"});
  ASSERT_EQ(flynn.run({"cluster", "add", "--no-git", "gone", "http://controller.gone.localhost:1", "k"}).code, 0);
  const auto gone = flynn.run({"-c", "gone", "doctor", "--json"});

  EXPECT_EQ(healthy.code, 0) << healthy.out;
  EXPECT_NE(healthy.out.find("ok  key: accepted; 1 apps"), std::string::npos) << healthy.out;
  EXPECT_EQ(gone.code, 1);
  EXPECT_NE(gone.out.find("\"check\":\"controller\",\"result\":\"FAILED\""), std::string::npos) << gone.out;
  EXPECT_NE(gone.out.find("controller-unreachable"), std::string::npos) << gone.out;
}

TEST_F(NewCommands, DrainsAreTheSinksOfTheWire) {
  const auto none = flynn.run({"drains", "add", "ftp://x"});
  const auto added = flynn.run({"drains", "add", "syslog://logs.test:514", "--use-ids"});

  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(added.err, "Created sink s-1.\nundo: flynn drains remove s-1\n");
  EXPECT_EQ(flynn.run({"cluster", "log-sink"}).out,
            "ID   KIND    CONFIG\ns-1  syslog  {\"url\":\"syslog://logs.test:514\",\"use_ids\":true}\n");
  EXPECT_EQ(flynn.run({"drains", "remove", "s-1"}).code, 0);
  EXPECT_EQ(flynn.run({"drains", "remove", "s-1"}).code, 3);
}

TEST_F(NewCommands, WhatIsNotSupportedSaysWhatToDoInstead) {
  for (const char* name : {"login", "mysql", "install"}) {
    const auto refused = flynn.run({name, "x"});
    EXPECT_EQ(refused.code, 1) << name;
    EXPECT_NE(refused.err.find("\ncode: not-supported\n"), std::string::npos) << name << refused.err;
  }
}

}  // namespace
}  // namespace flynn::cli::testing
