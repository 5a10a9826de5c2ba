// What keeps a cluster: keys that are given away, a backup that another node is made of, another domain.
#include <fstream>

#include "world.h"

namespace flynn::e2e {
namespace {

class Operator : public WorldTest {
 protected:
  static std::string last_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  }
  static std::string api() { return "http://controller.flynn.localhost:" + std::to_string(node().ports().http); }
};

TEST_F(Operator, AKeyOfOneAppDoesThatAppsWorkAndNothingElse) {
  given_app("node-hello", "hello");
  ASSERT_TRUE(node().flynn({"create", "-y", "-r", "", "vault"}).ok());
  const auto made = node().flynn({"access", "add", "ci", "--only-app", "hello", "--json"});
  ASSERT_TRUE(made.ok()) << made.out;
  const auto document = parse_json_object(last_line(made.out));
  ASSERT_TRUE(document.ok()) << made.out;
  // As on the build server: a client that knows nothing but this key.
  const auto by_key = [](const Args& args) {
    return node().flynn(args, {.env = {{"FLYNNRC", node().root() + "/ci-flynnrc"}}});
  };
  const auto added = by_key({"cluster", "add", "--no-git", "ci", api(), string_or(*document, "key")});
  ASSERT_TRUE(added.ok()) << added.out;

  EXPECT_NE(by_key({"apps"}).out.find("hello"), std::string::npos);
  EXPECT_EQ(by_key({"apps"}).out.find("vault"), std::string::npos);
  const auto set = by_key({"-a", "hello", "env", "set", "FROM_CI=1"});
  EXPECT_TRUE(set.ok()) << set.out;
  expect_page("hello", "");
  for (const Args& refused : {Args{"-a", "vault", "env", "set", "A=1"}, Args{"access"}, Args{"create", "-y", "mine"}}) {
    const auto outcome = by_key(refused);
    EXPECT_EQ(outcome.exit_code, 4) << outcome.out;
    EXPECT_NE(outcome.out.find("code: not-allowed"), std::string::npos) << outcome.out;
  }
  const auto log = node().flynn({"access", "log", "--key", "ci"});
  EXPECT_NE(log.out.find("403"), std::string::npos) << log.out;
  EXPECT_NE(log.out.find("/apps/vault"), std::string::npos) << log.out;
  ASSERT_TRUE(by_key({"apps"}).ok());
  ASSERT_TRUE(node().flynn({"access", "revoke", "ci"}).ok());
  const auto revoked = by_key({"apps"});
  EXPECT_EQ(revoked.exit_code, 4) << revoked.out;
  EXPECT_NE(revoked.out.find("code: key-not-accepted"), std::string::npos) << revoked.out;
}

TEST_F(Operator, TheFirstKeyIsRotatedAndTheClientGoesOn) {
  const auto rotated = node().flynn({"access", "rotate", "root"});

  ASSERT_TRUE(rotated.ok()) << rotated.out;
  EXPECT_NE(rotated.out.find("The entry of this cluster has the new key."), std::string::npos) << rotated.out;
  EXPECT_TRUE(node().flynn({"apps"}).ok());
  std::ifstream file(node().data_dir() + "/plugins/controller/auth_key");
  std::string key;
  std::getline(file, key);
  EXPECT_NE(rotated.out.find(key), std::string::npos) << "the file and the answer are one";
}

TEST_F(Operator, AnotherNodeIsMadeOfABackupAndServesTheApp) {
  given_app("node-hello", "hello");
  const std::string archive = node().root() + "/backup.tar";
  const auto backup = node().flynn({"cluster", "backup", "--file", archive}, {.timeout = 300s});
  ASSERT_TRUE(backup.ok()) << backup.out << node().log();
  std::string home;
  {
    Node other;
    home = other.root();
    const auto layers = run({FLYNN_BLOBSTORE_RESTORE, archive, "--data-dir", other.data_dir() + "/plugins/blobstore"});
    ASSERT_TRUE(layers.ok()) << layers.out;
    const auto store = run({FLYNN_STORE_RESTORE, archive, "--data-dir", other.data_dir() + "/plugins/store", "--key",
                            node().data_dir() + "/plugins/store.key"});
    ASSERT_TRUE(store.ok()) << store.out;

    ASSERT_TRUE(other.start()) << other.log();
    ASSERT_TRUE(other.introduce()) << other.log();

    EXPECT_NE(other.flynn({"apps"}).out.find("hello"), std::string::npos);
    Outcome page;
    EXPECT_TRUE(eventually(60s,
                           [&] {
                             page = other.get("hello.flynn.localhost", "/", {"-f"});
                             return page.ok();
                           }))
        << page.out << other.log();
    const auto again = run({FLYNN_STORE_RESTORE, archive, "--data-dir", other.data_dir() + "/plugins/store", "--key",
                            node().data_dir() + "/plugins/store.key"});
    EXPECT_FALSE(again.ok()) << "a node with a store is not overwritten: " << again.out;
  }
  EXPECT_NE(home, "");
}

TEST_F(Operator, TheClusterGetsAnotherDomainAndGoesBack) {
  given_app("node-hello", "hello");
  const auto moved = node().flynn({"cluster", "migrate-domain", "-y", "new.localhost"}, {.timeout = 180s});
  ASSERT_TRUE(moved.ok()) << moved.out << node().log();
  EXPECT_NE(moved.out.find("undo: "), std::string::npos) << moved.out;

  EXPECT_TRUE(node().flynn({"apps"}).ok()) << "the client goes to the new address";
  EXPECT_NE(node().flynn({"cluster"}).out.find("controller.new.localhost"), std::string::npos);
  for (const char* name : {"hello.new.localhost", "hello.flynn.localhost"}) {
    Outcome page;
    EXPECT_TRUE(eventually(20s,
                           [&] {
                             page = node().get(name, "/", {"-f"});
                             return page.ok();
                           }))
        << name << page.out;
  }
  ASSERT_TRUE(node().flynn({"create", "-y", "-r", "", "later"}).ok());
  EXPECT_NE(node().flynn({"-a", "later", "route"}).out.find("http:later.new.localhost"), std::string::npos);
  const auto back = node().flynn({"cluster", "migrate-domain", "-y", "flynn.localhost"}, {.timeout = 180s});
  EXPECT_TRUE(back.ok()) << back.out;
  EXPECT_TRUE(node().flynn({"apps"}).ok());
}

}  // namespace
}  // namespace flynn::e2e
