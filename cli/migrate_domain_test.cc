// flynn cluster migrate-domain against a controller on a real socket, and the files that follow.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "documents.h"
#include "git_repository.h"
#include "test_controller.h"
#include "test_program.h"

namespace flynn::cli::testing {
namespace {

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct MigrateDomain : ::testing::Test {
  TestController controller;
  Program flynn;

  void SetUp() override { write_rc(controller.url(), ""); }

  void write_rc(const std::string& controller_url, const std::string& pin) const {
    std::ofstream(flynn.folder() + "/flynnrc")
        << "default = \"prod\"\n[[cluster]]\nName = \"prod\"\nKey = \"" << TestController::kKey
        << "\"\nControllerURL = \"" << controller_url << "\"\nGitURL = \"https://git.test.localhost\"\n"
        << "ImageURL = \"https://images.test.localhost:8443\"\n"
        << (pin.empty() ? "" : "TLSPin = \"" + pin + "\"\n") << "[[cluster]]\nName = \"other\"\nKey = \"k\"\n"
        << "ControllerURL = \"https://controller.other.example\"\n";
  }
  std::string rc() const { return content(flynn.folder() + "/flynnrc"); }
  std::string port() const { return controller.url().substr(controller.url().rfind(':')); }
  bool asked_to_migrate() {
    const auto all = controller.requests();
    return std::find(all.begin(), all.end(), "PUT /domain") != all.end();
  }
};

TEST_F(MigrateDomain, TheRcFileFollowsAndTheUndoLineLeadsBack) {
  const auto migrated = flynn.run({"cluster", "migrate-domain", "new.localhost"}, "yes\n");

  EXPECT_EQ(migrated.code, 0) << migrated.err;
  EXPECT_EQ(migrated.out, "Changed cluster domain from test.localhost to new.localhost.\n");
  EXPECT_NE(migrated.err.find("undo: flynn -c prod cluster migrate-domain -y test.localhost\n"), std::string::npos)
      << migrated.err;
  EXPECT_EQ((migrated.out + migrated.err).find(TestController::kKey), std::string::npos);
  for (const std::string& line : {"ControllerURL = \"http://controller.new.localhost" + port() + "\"",
                                  std::string("GitURL = \"https://git.new.localhost\""),
                                  std::string("ImageURL = \"https://images.new.localhost:8443\""),
                                  std::string("ControllerURL = \"https://controller.other.example\"")})
    EXPECT_NE(rc().find(line), std::string::npos) << line << rc();
  EXPECT_EQ(rc().find("TLSPin"), std::string::npos) << "there was none";
  EXPECT_FALSE(std::filesystem::exists(flynn.folder() + "/.flynn")) << "git was not set up for it";

  const auto back = flynn.run({"-c", "prod", "cluster", "migrate-domain", "-y", "test.localhost"});
  EXPECT_EQ(back.code, 0) << back.err;
  EXPECT_NE(rc().find(controller.url()), std::string::npos) << rc();
}

TEST_F(MigrateDomain, IsAskedForAndCanBeDeclined) {
  const auto declined = flynn.run({"cluster", "migrate-domain", "new.localhost"}, "no\n");

  EXPECT_NE(declined.code, 0);
  EXPECT_NE(declined.err.find("from test.localhost to new.localhost?"), std::string::npos) << declined.err;
  EXPECT_NE(declined.err.find("\ncode: declined\n"), std::string::npos) << declined.err;
  EXPECT_FALSE(asked_to_migrate());
}

TEST_F(MigrateDomain, APlanChangesNothing) {
  const std::string before = rc();

  const auto planned = flynn.run({"cluster", "migrate-domain", "new.localhost", "--plan"});

  EXPECT_EQ(planned.code, 0) << planned.err;
  EXPECT_NE(planned.out.find("would migrate the cluster from test.localhost to new.localhost"), std::string::npos)
      << planned.out;
  EXPECT_FALSE(asked_to_migrate());
  EXPECT_EQ(rc(), before);
}

TEST_F(MigrateDomain, AFailureChangesNoFile) {
  const std::string before = rc();
  controller.fail_migration("an app has that route");

  const auto failed = flynn.run({"cluster", "migrate-domain", "-y", "new.localhost"});

  EXPECT_EQ(failed.code, 1);
  EXPECT_NE(failed.err.find("an app has that route"), std::string::npos) << failed.err;
  EXPECT_EQ(rc(), before);
}

TEST_F(MigrateDomain, TheControllersReleaseTellsThePresentDomain) {
  write_rc("http://127.0.0.1" + port(), "");
  EXPECT_EQ(flynn.run({"cluster", "migrate-domain", "-y", "new.localhost"}).code, 1) << "nobody knows it";
  controller.add_app("controller");
  ASSERT_EQ(flynn.run({"-a", "controller", "env", "set", "DEFAULT_ROUTE_DOMAIN=test.localhost"}).code, 0);

  const auto migrated = flynn.run({"cluster", "migrate-domain", "-y", "new.localhost", "--json"});

  EXPECT_EQ(migrated.code, 0) << migrated.err;
  const auto document = parse_json("stdout", migrated.out);
  ASSERT_TRUE(document) << migrated.out;
  EXPECT_EQ(text_of(as_object(*document), "old_domain"), "test.localhost");
  EXPECT_NE(rc().find("http://127.0.0.1" + port()), std::string::npos) << "an address is of no domain";
}

TEST_F(MigrateDomain, RemotesOfThisRepositoryFollow) {
  if (flynn.run_other({"git", "init", "-q", "."}).code == 127) GTEST_SKIP() << "git is not installed";
  for (const auto& [name, url] : {std::pair{"flynn", "https://git.test.localhost/web.git"},
                                  std::pair{"origin", "https://git.elsewhere.example/web.git"}})
    ASSERT_EQ(flynn.run_other({"git", "remote", "add", name, url}).code, 0);

  ASSERT_EQ(flynn.run({"cluster", "migrate-domain", "-y", "new.localhost"}).code, 0);

  EXPECT_EQ(flynn.run_other({"git", "remote", "get-url", "flynn"}).out, "https://git.new.localhost/web.git\n");
  EXPECT_EQ(flynn.run_other({"git", "remote", "get-url", "origin"}).out, "https://git.elsewhere.example/web.git\n");
}

TEST(MigrateDomainTls, ThePinAndTheCaFollow) {
  TestController controller(Tls::kYes);
  Program flynn;
  const std::string domain = controller.url().substr(std::string("https://controller.").size());
  const auto added = flynn.run({"cluster", "add", "-p", controller.pin(), "prod", domain, TestController::kKey});
  ASSERT_EQ(added.code, 0) << added.err;
  const std::string ca = flynn.folder() + "/.flynn/ca-certs/prod.pem";
  ASSERT_EQ(content(ca), "old CA");

  const auto migrated = flynn.run({"cluster", "migrate-domain", "-y", "new.localhost"});

  ASSERT_EQ(migrated.code, 0) << migrated.err;
  EXPECT_EQ(content(ca), TestController::kNewCa);
  const std::string rc = content(flynn.folder() + "/flynnrc");
  EXPECT_NE(rc.find(std::string("TLSPin = \"") + TestController::kNewPin + "\""), std::string::npos) << rc;
  const std::string git = content(flynn.folder() + "/.gitconfig");
  EXPECT_NE(git.find("https://git.new.localhost"), std::string::npos) << git;
}

}  // namespace
}  // namespace flynn::cli::testing
