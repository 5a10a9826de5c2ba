// Whose plugins a node loads: signatures, keys, policies; and that nothing of a refused file is ever mapped.
#include "trust.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "sha256.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

namespace fs = std::filesystem;
using State = SignatureStatus::State;

class TrustTest : public testing::Test {
 protected:
  TrustTest() {
    std::string pattern = "/tmp/flynn-trust.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    trust_.dir = folder_ / "trust.d";
    file_ = given_file("good");
  }
  ~TrustTest() override { fs::remove_all(folder_); }

  fs::path given_file(const std::string& animal) const {
    const auto file = folder_ / (animal + ".so");
    fs::copy_file(zoo_file(animal), file);
    return file;
  }
  void install(const SigningKey& key, const std::string& name, const std::string& above = {}) const {
    fs::create_directory(trust_.dir);
    std::ofstream(trust_.dir / (name + ".pem")) << above << key.public_pem();
  }
  static void sign(const SigningKey& key, const fs::path& file) {
    std::ofstream(signature_path(file), std::ios::app) << signatures_text({*key.sign(*sha256_of_file(file))});
  }
  SignatureStatus status() const { return signature_status(trust_, file_, *sha256_of_file(file_), "animal"); }

  fs::path folder_, file_;
  TrustConfig trust_;
  SigningKey key_ = *SigningKey::generate(), other_ = *SigningKey::generate();
};

TEST_F(TrustTest, AsksForNothingUntilAKeyIsInstalled) {
  EXPECT_EQ(status().state, State::missing);
  EXPECT_FALSE(status().refused);
  EXPECT_EQ(status().policy, TrustPolicy::off);

  install(key_, "acme");

  EXPECT_TRUE(status().refused);
  EXPECT_NE(status().words.find("flynn plugin sign"), std::string::npos);
}

TEST_F(TrustTest, TrustsNobodyWhenTheLastKeyWasTakenAway) {
  install(key_, "acme");
  fs::remove(trust_.dir / "acme.pem");

  EXPECT_EQ(status().policy, TrustPolicy::required);
  EXPECT_TRUE(status().refused);
  EXPECT_NE(status().words.find("no key is installed in"), std::string::npos) << status().words;
}

TEST_F(TrustTest, AcceptsTheFileThatATrustedKeySigned) {
  install(key_, "acme");
  sign(key_, file_);

  EXPECT_EQ(status().state, State::valid) << status().words;
  EXPECT_EQ(status().key_name, "acme");
  EXPECT_FALSE(status().refused);
}

TEST_F(TrustTest, RefusesAFileThatWasChangedAfterItWasSigned) {
  install(key_, "acme");
  sign(key_, file_);
  std::ofstream(file_, std::ios::app) << "x";

  for (const auto policy : {TrustPolicy::automatic, TrustPolicy::required, TrustPolicy::warn}) {
    trust_.policy = policy;
    EXPECT_EQ(status().state, State::wrong);
    EXPECT_TRUE(status().refused);
    EXPECT_NE(status().words.find("for another file"), std::string::npos) << status().words;
  }
  trust_.policy = TrustPolicy::off;
  EXPECT_FALSE(status().refused);
}

TEST_F(TrustTest, RefusesASignatureThatWasForged) {
  install(key_, "acme");
  auto forged = *other_.sign(*sha256_of_file(file_));
  forged.key_id = key_.id();
  std::ofstream(signature_path(file_)) << signatures_text({forged});

  EXPECT_EQ(status().state, State::wrong);
  EXPECT_NE(status().words.find("does not verify"), std::string::npos) << status().words;
}

TEST_F(TrustTest, WarnsOfStrangersOrRefusesThem) {
  install(key_, "acme");
  sign(other_, file_);

  EXPECT_EQ(status().state, State::unknown_key);
  EXPECT_TRUE(status().refused);
  EXPECT_NE(status().words.find(other_.id()), std::string::npos);
  trust_.policy = TrustPolicy::warn;
  EXPECT_FALSE(status().refused);
}

TEST_F(TrustTest, OneGoodSignatureAmongOthersIsEnough) {
  install(key_, "acme");
  sign(other_, file_);
  sign(key_, file_);

  EXPECT_EQ(status().state, State::valid);
}

TEST_F(TrustTest, HeedsWhichPluginsAKeyMaySign) {
  sign(key_, file_);
  install(key_, "acme", "# of the router's people\nplugins: router, proxy-*\n");
  EXPECT_EQ(status().state, State::other_plugin);
  EXPECT_TRUE(status().refused);

  install(key_, "acme", "plugins: router, anim*\n");
  EXPECT_EQ(status().state, State::valid) << status().words;
}

TEST_F(TrustTest, HeedsNoKeyThatIsBrokenOrThatOthersMayChange) {
  sign(key_, file_);
  install(key_, "acme", "plugin: router\n");
  EXPECT_TRUE(status().refused);
  EXPECT_NE(status().words.find("neither a comment"), std::string::npos) << status().words;

  install(key_, "acme");
  ASSERT_FALSE(status().refused);
  ::chmod((trust_.dir / "acme.pem").c_str(), 0666);
  EXPECT_TRUE(status().refused);
  EXPECT_NE(status().words.find("chmod go-w"), std::string::npos) << status().words;
  EXPECT_FALSE(SigningKey::public_from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").ok());
}

TEST_F(TrustTest, RefusesASignatureFileThatIsNone) {
  install(key_, "acme");
  for (const char* text : {"nonsense", "{\"v\":2}\n", "{\"v\":1,\"key\":\"x\",\"signature\":\"AAAA\"}\n"}) {
    std::ofstream(signature_path(file_)) << text;
    EXPECT_EQ(status().state, State::wrong) << text;
    EXPECT_NE(status().words.find("line 1"), std::string::npos) << status().words;
    EXPECT_NE(status().words.find("get it again"), std::string::npos) << status().words;
  }
}

TEST_F(TrustTest, WaitsForNoPipeInTheSignaturesPlace) {
  install(key_, "acme");
  trust_.policy = TrustPolicy::warn;
  ASSERT_EQ(::mkfifo(signature_path(file_).c_str(), 0600), 0);

  EXPECT_EQ(status().state, State::wrong);
  EXPECT_TRUE(status().refused) << "as the swap itself would";
  EXPECT_NE(status().words.find("not a regular file"), std::string::npos) << status().words;
}

TEST_F(TrustTest, WritesKeysThatItCanRead) {
  const auto copy = SigningKey::private_from_pem(key_.private_pem());

  ASSERT_TRUE(copy.ok());
  EXPECT_EQ(copy->id(), key_.id());
  EXPECT_EQ(SigningKey::public_from_pem(key_.public_pem())->id(), key_.id());
  EXPECT_FALSE(SigningKey::private_from_pem(key_.public_pem()).ok());
}

// The node: at boot, at swap, at rollback.
class TrustedNode : public TrustTest {
 protected:
  static std::string mapped_of(const std::string& folder) {
    std::ifstream maps("/proc/self/maps");
    std::string found;
    for (std::string line; std::getline(maps, line);)
      if (line.find(folder) != std::string::npos) found += line.substr(line.find(folder)) + "\n";
    return found;
  }
  static std::string last_action(ZooNode& zoo, const std::string& action) {
    const auto entries = zoo.node().history().last("cage", 100);
    std::string found;
    for (const auto& entry : entries)
      if (string_or(entry.as_object(), "action") == action) found = json::serialize(entry);
    return found;
  }
};

TEST_F(TrustedNode, BootsSignedPluginsOnly) {
  install(key_, "acme");
  ZooNode zoo({{"cage", file_.c_str()}}, [&](NodeConfig& config) { config.trust = trust_; });
  EXPECT_EQ(zoo.state(), "failed");
  EXPECT_NE(zoo.reason().find("it is not signed"), std::string::npos) << zoo.reason();
  EXPECT_EQ(mapped_of(zoo.folder()), "");
  EXPECT_NE(last_action(zoo, "signature_refused"), "");

  sign(key_, file_);
  zoo.reboot();

  EXPECT_EQ(zoo.state(), "up") << zoo.reason();
}

TEST_F(TrustedNode, SwapsToSignedFilesOnlyAndGoesBackToThemToo) {
  install(key_, "acme");
  sign(key_, file_);
  const auto next = given_file("good_2");
  ZooNode zoo({{"cage", file_.c_str()}}, [&](NodeConfig& config) { config.trust = trust_; });
  ASSERT_EQ(zoo.version(), "1.0.0");

  const auto refused = zoo.node().swap("cage", next, SwapOptions{}, {});
  EXPECT_EQ(refused.error().code, Code::permission_denied) << refused.error().message;
  EXPECT_EQ(zoo.version(), "1.0.0");
  EXPECT_EQ(mapped_of(zoo.folder()).find("/2-"), std::string::npos) << "nothing of it was mapped";
  const auto running = json::serialize(*zoo.node().inspect("cage"));
  EXPECT_NE(running.find("\"state\":\"valid\""), std::string::npos) << "of what runs, not of what was refused";
  (void)zoo.node().swap("cage", folder_ / "nowhere.so", SwapOptions{}, {});
  EXPECT_EQ(last_action(zoo, "swap").find("\"signature\""), std::string::npos) << "no file, no signature";
  sign(key_, next);
  ASSERT_TRUE(zoo.node().swap("cage", next, SwapOptions{}, {}).ok());
  EXPECT_EQ(zoo.version(), "2.0.0");
  EXPECT_NE(last_action(zoo, "swap").find("\"valid\""), std::string::npos);
  ASSERT_TRUE(zoo.node().roll_back("cage", {}).ok()) << "the kept file has its signature beside it";
  EXPECT_EQ(zoo.version(), "1.0.0");

  fs::remove(trust_.dir / "acme.pem");
  install(other_, "umbrella");
  const auto back = zoo.node().roll_back("cage", {});
  EXPECT_FALSE(back.ok()) << "the key was taken away";
  EXPECT_EQ(zoo.version(), "1.0.0");
}

TEST_F(TrustedNode, LoadsUnsignedFilesWithAWarningWhenThePolicySaysSo) {
  install(key_, "acme");
  trust_.policy = TrustPolicy::warn;
  ZooNode zoo({{"cage", file_.c_str()}}, [&](NodeConfig& config) { config.trust = trust_; });

  EXPECT_EQ(zoo.state(), "up");
  EXPECT_NE(last_action(zoo, "signature_warning"), "");
}

TEST_F(TrustedNode, RefusesToGoBackToAKeptFileThatWasChanged) {
  const auto next = given_file("good_2");
  ZooNode zoo({{"cage", file_.c_str()}}, [](NodeConfig&) {});
  ASSERT_TRUE(zoo.node().swap("cage", next, SwapOptions{}, {}).ok());
  for (const auto& kept : fs::directory_iterator(zoo.folder() + "/data/core/images/cage"))
    if (kept.path().filename().string().starts_with("1-")) {
      ::chmod(kept.path().c_str(), 0700);
      std::ofstream(kept.path(), std::ios::app) << "x";
    }

  const auto back = zoo.node().roll_back("cage", {});

  ASSERT_FALSE(back.ok());
  EXPECT_NE(back.error().message.find("was changed"), std::string::npos) << back.error().message;
}

}  // namespace
}  // namespace flynn::core
