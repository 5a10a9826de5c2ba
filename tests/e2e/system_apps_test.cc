// Plugins as apps, with the real client: env set reconfigures, a swap is a release, roll-back swaps back.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "world.h"

namespace flynn::e2e {
namespace {

class SystemApps : public WorldTest {
 protected:
  static Outcome of(const std::string& app, Args args) {
    Args whole{"-a", app};
    whole.insert(whole.end(), args.begin(), args.end());
    return node().flynn(whole);
  }
  static std::string variable(const std::string& app, const std::string& name) {
    auto text = of(app, {"env", "get", name}).out;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  static std::vector<std::string> releases(const std::string& app) {
    std::istringstream lines(of(app, {"release", "-q"}).out);
    std::vector<std::string> ids;
    for (std::string line; std::getline(lines, line);) ids.push_back(line);
    return ids;
  }
  static std::string current(const std::string& app) {
    auto release = parse_json_object(of(app, {"release", "show", "--json"}).out);
    return release ? string_or(*release, "id") : "";
  }
  /// What the core says of the plugin.
  static json::object plugin(const std::string& slot) {
    const auto all = node().call("flynn.node/1", "Plugins", {{"slot", slot}});
    const auto* list = find_array(all, "plugins");
    return list == nullptr || list->empty() ? json::object{{"error", json::serialize(all)}} : list->at(0).as_object();
  }
  static std::int64_t setting(const std::string& slot, const std::string& key) {
    const auto facts = plugin(slot);
    const auto* config = find_object(facts, "config");
    return config == nullptr ? -1 : int_or(*config, key, -1);
  }
  /// The slot's plugin as version x.y.7: the manifest's version is the only difference. Empty when it has no such text.
  static std::string newer_file(const std::string& slot) {
    std::ifstream from(node().plugin_path(slot), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(from)), {});
    const std::string version = "\"version\": \"" + string_or(plugin(slot), "version") + "\"";
    const auto at = bytes.find(version);
    if (at == std::string::npos) return "";
    bytes[at + version.size() - 2] = '7';
    const auto path = node().root() + "/" + slot + "-newer.so";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
};

TEST_F(SystemApps, EveryPluginIsAnAppWithOneJob) {
  const auto apps = node().flynn({"apps"});

  for (const char* slot : {"store", "discovery", "blobstore", "scheduler", "logs", "host", "controller", "router",
                           "builder", "flynn-postgres"}) {
    EXPECT_NE(apps.out.find(slot), std::string::npos) << apps.out;
    EXPECT_EQ(jobs_up(slot, "plugin"), 1) << slot << of(slot, {"ps"}).out;
  }
  EXPECT_EQ(variable("router", "CONNECT_TIMEOUT_MS"), "1000");
}

TEST_F(SystemApps, AWrongSettingIsRefusedByNameAndNothingChanges) {
  const auto before = releases("router");

  const auto text = of("router", {"env", "set", "HEAD_TIMEOUT_MS=soon"});
  const auto number = of("router", {"env", "set", "HEAD_TIMEOUT_MS=1"});
  const auto unknown = of("router", {"env", "set", "COLOUR=red"});

  EXPECT_NE(text.exit_code, 0);
  EXPECT_NE(text.out.find("HEAD_TIMEOUT_MS"), std::string::npos) << text.out;
  EXPECT_NE(number.exit_code, 0);
  EXPECT_NE(number.out.find("head_timeout_ms"), std::string::npos) << number.out;
  EXPECT_NE(unknown.out.find("COLOUR is no setting"), std::string::npos) << unknown.out;
  EXPECT_EQ(releases("router"), before);
}

TEST_F(SystemApps, EnvSetIsInForceAndRollBackTakesItBack) {
  const auto before = current("router");
  const auto host = node().host_pid();

  const auto set = of("router", {"env", "set", "HEAD_TIMEOUT_MS=5000", "ACCESS_LOG=false"});
  ASSERT_TRUE(set.ok()) << set.out << node().log();
  EXPECT_EQ(setting("router", "head_timeout_ms"), 5000);
  EXPECT_EQ(variable("router", "ACCESS_LOG"), "false");
  EXPECT_NE(current("router"), before);
  const auto back = of("router", {"release", "rollback", "-y"});

  ASSERT_TRUE(back.ok()) << back.out << node().log();
  EXPECT_EQ(setting("router", "head_timeout_ms"), 10000);
  EXPECT_EQ(current("router"), before);
  EXPECT_EQ(node().host_pid(), host);
}

TEST_F(SystemApps, ASwapIsAReleaseAndRollBackSwapsBack) {
  const auto before = current("blobstore");
  const auto version = string_or(plugin("blobstore"), "version");
  const auto newer = newer_file("blobstore");
  ASSERT_NE(newer, "") << version;
  const auto swapped = node().flynn({"plugin", "swap", "blobstore", newer});
  ASSERT_TRUE(swapped.ok()) << swapped.out << node().log();
  ASSERT_TRUE(eventually(20s, [&] { return current("blobstore") != before; })) << node().log();
  EXPECT_NE(of("blobstore", {"release", "show"}).out.find(version.substr(0, version.size() - 1) + "7"),
            std::string::npos);

  const auto back = of("blobstore", {"release", "rollback", "-y"});

  ASSERT_TRUE(back.ok()) << back.out << node().log();
  EXPECT_EQ(string_or(plugin("blobstore"), "version"), version);
  EXPECT_EQ(current("blobstore"), before);
}

TEST_F(SystemApps, TheControllerChangesItselfAndTheClientHearsOfIt) {
  const auto began = std::chrono::steady_clock::now();

  const auto set = of("controller", {"env", "set", "EVENTS_MAX=50000"});

  ASSERT_TRUE(set.ok()) << set.out << node().log();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  std::printf("controller: env set took %lld ms\n", static_cast<long long>(took.count()));
  EXPECT_EQ(setting("controller", "events_max"), 50000);
  EXPECT_EQ(variable("controller", "EVENTS_MAX"), "50000");
  const auto back = of("controller", {"release", "rollback", "-y"});
  ASSERT_TRUE(back.ok()) << back.out << node().log();
  EXPECT_EQ(setting("controller", "events_max"), 100000);
}

TEST_F(SystemApps, TheStoreUnderneathChangesToo) {
  const auto facts = plugin("store");
  const auto generation = int_or(facts, "generation");
  const auto env = of("store", {"env"});
  ASSERT_TRUE(env.ok()) << env.out;
  const auto line = env.out.substr(0, env.out.find('\n'));

  // The same value is a release of its own all the same: it is deployed by a swap of the same version.
  const auto set = of("store", {"env", "set", line});

  ASSERT_TRUE(set.ok()) << set.out << node().log();
  EXPECT_GT(int_or(plugin("store"), "generation"), generation);
  EXPECT_TRUE(node().flynn({"apps"}).ok());
}

TEST_F(SystemApps, TheLogIsWhatThePluginSaid) {
  const auto log = of("scheduler", {"log", "-n", "50"});

  EXPECT_TRUE(log.ok()) << log.out;
  EXPECT_NE(log.out.find("event=scheduler_leads"), std::string::npos) << log.out;
}

TEST_F(SystemApps, SecretsAreNotShown) {
  EXPECT_EQ(of("controller", {"env"}).out.find("AUTH_KEYS"), std::string::npos);
}

TEST_F(SystemApps, WhatMakesNoSenseIsRefusedWithTheReason) {
  const auto scaled = of("router", {"scale", "web=2"});
  const auto deleted = of("router", {"delete", "-y"});

  EXPECT_NE(scaled.exit_code, 0);
  EXPECT_NE(scaled.out.find("is a plugin of this node"), std::string::npos) << scaled.out;
  EXPECT_NE(deleted.exit_code, 0);
  EXPECT_NE(deleted.out.find("can't be deleted"), std::string::npos) << deleted.out;
}

TEST_F(SystemApps, ASettingOutlivesTheHost) {
  ASSERT_TRUE(of("router", {"env", "set", "CONNECT_TIMEOUT_MS=1500"}).ok());
  const auto release = current("router");

  ASSERT_TRUE(node().stop());
  ASSERT_TRUE(node().start()) << node().log();

  EXPECT_TRUE(eventually(30s, [] { return setting("router", "connect_timeout_ms") == 1500; })) << node().log();
  EXPECT_TRUE(eventually(30s, [&] { return current("router") == release; })) << node().log();
}

}  // namespace
}  // namespace flynn::e2e
