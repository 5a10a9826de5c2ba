// Errors have four parts, a stable code with a page, and an exit code by their kind.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "diagnosis.h"
#include "documents.h"
#include "error_report.h"
#include "test_controller.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// "kNameTaken" for "name-taken".
std::string enumerator_of(std::string_view name) {
  std::string text = "k";
  bool upper = true;
  for (const char c : name) {
    if (c == '-') {
      upper = true;
    } else {
      text += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
      upper = false;
    }
  }
  return text;
}

std::string sources() {
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(FLYNN_SOURCE) + "/cli")) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".cc") && !name.ends_with("_test.cc")) all += content(entry.path());
  }
  return all;
}

TEST(Errors, EveryCodeHasAPageAndEveryPageACode) {
  std::set<std::string> pages;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(FLYNN_SOURCE) + "/docs/errors")) {
    if (entry.path().filename() != "README.md") pages.insert(entry.path().stem());
  }

  EXPECT_EQ(pages, std::set<std::string>(kErrorCodeNames.begin(), kErrorCodeNames.end()));

  const std::string index = content(std::string(FLYNN_SOURCE) + "/docs/errors/README.md");
  for (const std::string_view name : kErrorCodeNames) {
    EXPECT_EQ(error_page(name).find("# " + std::string(name) + "\n"), 0U) << name;
    EXPECT_NE(index.find("](" + std::string(name) + ".md)"), std::string::npos) << name << " is not in the index";
  }
}

TEST(Errors, EveryCodeIsUsed) {
  const std::string all = sources();
  for (const std::string_view name : kErrorCodeNames)
    EXPECT_NE(all.find(enumerator_of(name)), std::string::npos) << name << " is given to no error";
}

TEST(Errors, TheLastWordsOfTheProcessTellTheCause) {
  const Error error =
      failure("deployment d failed: web job failed to start", "look")
          .as(ErrorCode::kDeploymentFailed)
          .saying({"starting", "./server: error while loading shared libraries: libx.so.1: cannot open"});
  std::ostringstream text;

  print_error(text, error);

  EXPECT_EQ(text.str().find("deployment d failed: web job failed to start\n  | starting\n  | ./server: error while"),
            0U);
  EXPECT_NE(text.str().find("\nnext: Link it statically"), std::string::npos) << text.str();
  EXPECT_TRUE(text.str().ends_with("\ncode: missing-library\n")) << text.str();
  EXPECT_EQ(text_of(object_of(error_document(error), "error"), "code"), "missing-library");
}

TEST(Errors, ACauseThatIsNotInTheTableKeepsTheOuterCode) {
  const Error whole =
      completed(failure("deployment d failed: it did not please", "look").as(ErrorCode::kDeploymentFailed));

  EXPECT_EQ(whole.code, ErrorCode::kDeploymentFailed);
  EXPECT_EQ(whole.next, "look");
  EXPECT_EQ(completed(failure("x")).code, ErrorCode::kFailed);
  EXPECT_FALSE(completed(failure("x")).next.empty()) << "no error ends without what to do next";
}

TEST(Errors, ExitCodesTellTheKindsApart) {
  const TestController controller;
  Program flynn;
  const auto code = [&](const std::vector<std::string>& line) { return flynn.run(line).code; };

  EXPECT_EQ(code({"apps"}), 1) << "no cluster yet";
  ASSERT_EQ(code({"cluster", "add", "--git-url", "ssh://x", "default", controller.url(), TestController::kKey}), 0);
  EXPECT_EQ(code({"apps", "--no-such-option"}), 2);
  EXPECT_EQ(code({"-a", "nobody", "info"}), 3);
  EXPECT_EQ(code({"cluster", "add", "--git-url", "ssh://y", "-f", "default", controller.url(), "wrong"}), 4);
  ASSERT_EQ(code({"cluster", "add", "--no-git", "gone", "http://controller.gone.localhost:1", "k"}), 0);
  EXPECT_EQ(code({"-c", "gone", "apps"}), 5);
}

TEST(Errors, AreADocumentWithJson) {
  const Program flynn;

  const auto failed = flynn.run({"apps", "--json"});

  EXPECT_EQ(failed.out, "");
  const auto document = parse_json("error", failed.err);
  ASSERT_TRUE(document) << failed.err;
  const json::object& error = object_of(as_object(*document), "error");
  EXPECT_EQ(text_of(error, "code"), "no-cluster");
  EXPECT_EQ(number_of(error, "exit_code"), 1);
  EXPECT_FALSE(text_of(error, "next").empty());
}

TEST(Errors, HelpExplainsACodeOffline) {
  const Program flynn;
  const auto page = flynn.run({"help", "port-not-bound"});

  EXPECT_EQ(page.code, 0);
  EXPECT_NE(page.out.find("0.0.0.0"), std::string::npos);
  EXPECT_EQ(flynn.run({"help", "no-such-code"}).code, 2);
}

}  // namespace
}  // namespace flynn::cli::testing
