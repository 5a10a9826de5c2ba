// The cluster as a remote one is used: HTTPS with the cluster's own certificate, pinned, and git over it.
#include <fstream>

#include "world.h"

namespace flynn::e2e {
namespace {

class Https : public WorldTest {
 protected:
  // A machine's own choice for all of git would stand above what the client sets for this cluster.
  void SetUp() override {
    ::unsetenv("GIT_SSL_CAINFO");
    WorldTest::SetUp();
  }
  static std::string line_of(const std::string& file) {
    std::ifstream stream(node().data_dir() + "/plugins/controller/" + file);
    std::string line;
    std::getline(stream, line);
    return line;
  }
  static std::string domain() { return "flynn.localhost:" + std::to_string(node().ports().https); }
  static Outcome add(const std::string& name, const std::string& pin) {
    return node().flynn({"cluster", "add", "-f", "-p", pin, name, domain(), line_of("auth_key")});
  }
};

TEST_F(Https, AddsTheClusterByItsPinAndTalksToIt) {
  const auto added = add("secure", line_of("tls_pin"));
  ASSERT_TRUE(added.ok()) << added.out << node().log();

  const auto apps = node().flynn({"-c", "secure", "apps"});

  EXPECT_TRUE(apps.ok()) << apps.out;
  EXPECT_NE(apps.out.find("controller"), std::string::npos) << apps.out;
}

TEST_F(Https, RefusesAnotherCertificateThanThePinned) {
  const auto added = add("stranger", std::string(43, 'A') + "=");

  EXPECT_FALSE(added.ok());
  EXPECT_NE(added.out.find("pin"), std::string::npos) << added.out;
}

TEST_F(Https, PushesByGitOverHttpsAndServesTheAppByHttps) {
  ASSERT_TRUE(add("secure", line_of("tls_pin")).ok());
  const auto folder = node().make_repository("secure-app", {{"index.html", "by https\n"}, {"static.json", "{}\n"}});
  const auto created = node().flynn({"-c", "secure", "create", "-y", "secure-app"}, {.folder = folder});
  ASSERT_TRUE(created.ok()) << created.out;

  const auto pushed = node().push(folder);

  ASSERT_TRUE(pushed.ok()) << pushed.out << node().log();
  EXPECT_NE(run({"git", "remote", "get-url", "flynn"}, {.folder = folder}).out.find("https://git." + domain()),
            std::string::npos);
  Outcome page;
  EXPECT_TRUE(eventually(30s, [&] {
    page = run({"curl", "-sS", "--max-time", "10", "--cacert", node().root() + "/home/.flynn/ca-certs/secure.pem",
                "https://secure-app." + domain() + "/"});
    return page.out == "by https\n";
  })) << page.out;
}

}  // namespace
}  // namespace flynn::e2e
