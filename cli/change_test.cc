// Whatever changes something can be planned, says how it is undone, and prints a document with --json.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "documents.h"
#include "test_controller.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

struct Changes : ::testing::Test {
  TestController controller;
  Program flynn;

  void SetUp() override {
    ASSERT_EQ(
        flynn.run({"cluster", "add", "--git-url", "ssh://x", "default", controller.url(), TestController::kKey}).code,
        0);
    controller.add_app("web");
    ASSERT_EQ(flynn.run({"-a", "web", "env", "set", "A=1"}).code, 0);
  }

  json::object document(const std::vector<std::string>& line) {
    auto with = line;
    with.push_back("--json");
    const Outcome outcome = flynn.run(with);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const auto parsed = parse_json("stdout", outcome.out);
    EXPECT_TRUE(parsed) << outcome.out;
    return parsed ? as_object(*parsed) : json::object();
  }

  std::size_t changes_sent() {
    const auto all = controller.requests();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const std::string& line) { return !line.starts_with("GET "); }));
  }

  /// Runs a command line as a shell's user would copy it (without quotes in it).
  Outcome typed(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    words.erase(words.begin());
    return flynn.run(words);
  }
};

TEST_F(Changes, APlanChangesNothing) {
  const std::vector<std::vector<std::string>> lines{{"create", "new"},
                                                    {"delete"},
                                                    {"env", "set", "B=2"},
                                                    {"env", "unset", "A"},
                                                    {"scale", "web=3"},
                                                    {"limit", "set", "web", "memory=1GB"},
                                                    {"meta", "set", "a=b"},
                                                    {"deployment", "timeout", "9"},
                                                    {"kill", "h-2"},
                                                    {"route", "add", "http", "x.example.com"},
                                                    {"route", "add", "tcp"},
                                                    {"resource", "add", "postgres"},
                                                    {"provider", "add", "n", "u"}};
  const std::size_t before = changes_sent();

  for (auto line : lines) {
    line.insert(line.begin(), {"-a", "web"});
    line.push_back("--plan");
    const Outcome planned = flynn.run(line);
    EXPECT_EQ(planned.code, 0) << line[2] << planned.err;
    EXPECT_EQ(planned.out.find("would "), 0U) << line[2] << ": " << planned.out;
  }

  EXPECT_EQ(changes_sent(), before);
}

TEST_F(Changes, WhatOnlyReadsTakesNoPlan) { EXPECT_EQ(flynn.run({"apps", "--plan"}).code, 2); }

TEST_F(Changes, TheUndoLineUndoes) {
  ASSERT_EQ(flynn.run({"-a", "web", "env", "set", "A=1"}).code, 0);

  const json::object changed = document({"-a", "web", "env", "set", "A=2"});
  ASSERT_EQ(flynn.run({"-a", "web", "env", "get", "A"}).out, "2\n");
  const auto undone = typed(text_of(changed, "undo"));

  EXPECT_EQ(undone.code, 0) << undone.err;
  EXPECT_EQ(flynn.run({"-a", "web", "env", "get", "A"}).out, "1\n");
  EXPECT_FALSE(text_of(changed, "release").empty());
}

TEST_F(Changes, ScaleSaysHowToGoBack) {
  ASSERT_EQ(flynn.run({"-a", "web", "scale", "web=1"}).code, 0);

  const auto scaled = flynn.run({"-a", "web", "scale", "web=3"});

  EXPECT_EQ(scaled.err, "undo: flynn -a web scale web=1\n");
}

TEST_F(Changes, NoSecretIsInAnUndoLine) {
  ASSERT_EQ(flynn.run({"-a", "web", "env", "set", "TOKEN=hidden-7"}).code, 0);

  const auto changed = flynn.run({"-a", "web", "env", "set", "TOKEN=other"});
  const auto planned = flynn.run({"-a", "web", "env", "unset", "TOKEN", "--plan"});

  EXPECT_EQ((changed.out + changed.err + planned.out + planned.err).find("hidden-7"), std::string::npos);
  EXPECT_NE(changed.err.find("undo: flynn -a web rollback -y "), std::string::npos) << changed.err;
}

TEST_F(Changes, TablesAndChangesAreDocumentsWithJson) {
  EXPECT_EQ(flynn.run({"apps", "--json"}).out, "[{\"id\":\"id-web\",\"name\":\"web\"}]\n");
  EXPECT_EQ(text_of(document({"-a", "web", "env"}), "A"), "1");
  EXPECT_EQ(text_of(document({"create", "other"}), "undo"), "flynn -a other delete");
  EXPECT_EQ(number_of(document({"-a", "web", "delete", "-y"}), "releases"), 2);
  EXPECT_FALSE(text_of(document({"version"}), "version").empty());
}

}  // namespace
}  // namespace flynn::cli::testing
