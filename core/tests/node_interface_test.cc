// flynn.node/1: who may call it, that a plugin may change itself, what is told of it, and what outlives the host.
#include <gtest/gtest.h>

#include "config_secrets.h"
#include "flynn/sdk/stream.h"
#include "runtime_config.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

constexpr std::chrono::seconds kPatience{20};

Result<Reply> call_node(ZooNode& zoo, const char* method, const json::object& body = {}) {
  return zoo.node().door().call_as_operator("flynn.node/1", method, body, Deadline::after(kPatience));
}

// As the plugin in the slot "cage" calls it.
Result<Reply> call_by_plugin(ZooNode& zoo, const char* method, const json::object& body = {}) {
  return zoo.node().door().call_as_operator("test.relay/1", "Relay",
                                            {{"interface", "flynn.node/1"}, {"method", method}, {"body", body}},
                                            Deadline::after(kPatience));
}

json::object config_of_relay(ZooNode& zoo) {
  auto reply = zoo.call("Config", "test.relay/1");
  return reply ? reply->body : json::object{};
}

std::string version_of_relay(ZooNode& zoo) {
  auto reply = zoo.call("Version", "test.relay/1");
  return reply ? string_or(reply->body, "version") : reply.error().message;
}

json::object facts_of(ZooNode& zoo, const char* slot = "cage") {
  auto reply = call_node(zoo, "Plugins", {{"slot", slot}});
  EXPECT_TRUE(reply.ok()) << (reply ? "" : reply.error().message);
  return reply ? reply->body.at("plugins").as_array().at(0).as_object() : json::object{};
}

// Reads a watch until a line that `wanted` likes; its text, or empty at the end of patience.
class Watching {
 public:
  explicit Watching(ZooNode& zoo) : reader_(open(zoo)) {}
  std::string until(const std::function<bool(const json::object&)>& wanted) {
    const auto deadline = Deadline::after(kPatience);
    while (true) {
      auto status = reader_.next(deadline);
      if (!status || *status != LineReader::Status::line) return "";
      auto line = parse_json_object(reader_.text());
      if (line && wanted(*line)) return reader_.text();
    }
  }
  std::string until_change_is(const std::string& id, const std::string& state) {
    return until([&](const json::object& line) {
      const auto* change = find_object(line, "change");
      return change != nullptr && string_or(*change, "change") == id && string_or(*change, "state") == state;
    });
  }

 private:
  static UniqueFd open(ZooNode& zoo) {
    auto reply = call_node(zoo, "Watch");
    return reply && !reply->fds.empty() ? std::move(reply->fds.front()) : UniqueFd();
  }
  LineReader reader_;
};

TEST(NodeInterface, IsForPluginsThatRequireItAndMayOperate) {
  ZooNode may("relay"), idle("relay_no_capability"), stranger("relay_no_requirement");

  EXPECT_TRUE(call_by_plugin(may, "Plugins").ok());
  const auto refused = call_by_plugin(idle, "Plugins");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::permission_denied);
  EXPECT_NE(refused.error().message.find("\"operate\""), std::string::npos) << refused.error().message;
  EXPECT_EQ(call_by_plugin(stranger, "Plugins").error().code, Code::permission_denied);
}

TEST(NodeInterface, SatisfiesWhoRequiresIt) {
  ZooNode zoo("relay");

  EXPECT_EQ(zoo.state(), "up") << zoo.reason();
}

TEST(NodeInterface, TellsOfEachPluginWithoutItsSecrets) {
  ZooNode zoo("relay");
  zoo.set_file_config("cage", R"({"label":"old","token":"s3cret"})");
  zoo.reboot();

  const auto facts = facts_of(zoo);

  EXPECT_EQ(string_or(facts, "version"), "1.0.0");
  EXPECT_EQ(string_or(facts, "digest").size(), 64u);
  EXPECT_EQ(*find_object(facts, "config"), (json::object{{"size", 3}, {"label", "old"}}));
  EXPECT_EQ(strings_or_empty(facts, "secrets"), std::vector<std::string>{"token"});
  EXPECT_EQ(json::serialize(facts).find("s3cret"), std::string::npos);
  EXPECT_EQ(call_node(zoo, "Plugins", {{"slot", "nowhere"}}).error().code, Code::not_found);
}

TEST(NodeInterface, ConfiguresLiveAndKeepsASecretThatIsNotNamed) {
  ZooNode zoo("relay");
  zoo.set_file_config("cage", R"({"token":"s3cret"})");
  zoo.reboot();
  const auto generation = int_or(facts_of(zoo), "generation");
  Watching watching(zoo);

  auto asked = call_node(zoo, "Configure", {{"slot", "cage"}, {"config", {{"label", "new"}}}});

  ASSERT_TRUE(asked.ok()) << asked.error().message;
  ASSERT_NE(watching.until_change_is(string_or(asked->body, "change"), "done"), "");
  EXPECT_EQ(string_or(config_of_relay(zoo), "label"), "new");
  EXPECT_EQ(string_or(config_of_relay(zoo), "token"), "s3cret");
  EXPECT_EQ(int_or(facts_of(zoo), "generation"), generation);
}

TEST(NodeInterface, RefusesAWrongConfigurationByNameAndChangesNothing) {
  ZooNode zoo("relay");
  const auto before = string_or(facts_of(zoo), "config_digest");

  const auto refused = call_node(zoo, "Configure", {{"slot", "cage"}, {"config", {{"size", "many"}}}});

  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_NE(refused.error().message.find("key size"), std::string::npos) << refused.error().message;
  EXPECT_EQ(string_or(facts_of(zoo), "config_digest"), before);
}

TEST(NodeInterface, JudgesAVersionAndAConfigurationWithoutAChange) {
  ZooNode zoo("relay");
  const json::object other{{"slot", "cage"}, {"path", zoo_file("relay_2")}, {"config", {{"label", "new"}}}};

  const auto judged = call_node(zoo, "Judge", other);
  auto wrong = other;
  wrong["config"] = json::object{{"colour", "red"}};
  const auto refused = call_node(zoo, "Judge", wrong);

  ASSERT_TRUE(judged.ok()) << judged.error().message;
  EXPECT_EQ(string_or(judged->body, "version"), "2.0.0");
  EXPECT_EQ(*find_object(judged->body, "config"), (json::object{{"size", 3}, {"label", "new"}}));
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_EQ(string_or(config_of_relay(zoo), "label"), "");
  EXPECT_EQ(version_of_relay(zoo), "1.0.0");
}

TEST(NodeInterface, ConfiguresOnlyWhatTheAskerHasSeen) {
  ZooNode zoo("relay");
  const auto seen = string_or(facts_of(zoo), "config_digest");
  ASSERT_TRUE(zoo.node().configure("cage", R"({"label":"other"})").ok());

  const auto refused =
      call_node(zoo, "Configure", {{"slot", "cage"}, {"config", {{"label", "mine"}}}, {"if_digest", seen}});

  EXPECT_EQ(refused.error().code, Code::conflict);
  EXPECT_EQ(string_or(config_of_relay(zoo), "label"), "other");
}

TEST(NodeInterface, LetsAPluginReplaceItselfFromInsideACall) {
  ZooNode zoo("relay");
  Watching watching(zoo);

  auto asked = call_by_plugin(zoo, "Swap", {{"slot", "cage"}, {"path", zoo_file("relay_2")}});

  ASSERT_TRUE(asked.ok()) << asked.error().message;
  const auto done = watching.until_change_is(string_or(asked->body, "change"), "done");
  ASSERT_NE(done, "");
  EXPECT_NE(done.find(R"("who":"cage")"), std::string::npos) << done;
  EXPECT_EQ(version_of_relay(zoo), "2.0.0");
  EXPECT_EQ(zoo.zombies(), 0);
}

TEST(NodeInterface, SwapsBackToAVersionThatIsKept) {
  ZooNode zoo("relay");
  const auto first = string_or(facts_of(zoo), "digest");
  ASSERT_TRUE(zoo.swap("relay_2").ok());
  Watching watching(zoo);

  auto asked = call_node(zoo, "Swap", {{"slot", "cage"}, {"digest", first}});

  ASSERT_TRUE(asked.ok()) << asked.error().message;
  ASSERT_NE(watching.until_change_is(string_or(asked->body, "change"), "done"), "");
  EXPECT_EQ(version_of_relay(zoo), "1.0.0");
  const auto gone = call_node(zoo, "Swap", {{"slot", "cage"}, {"digest", std::string(64, '0')}});
  EXPECT_EQ(gone.error().code, Code::not_found);
  EXPECT_NE(gone.error().message.find("no longer kept"), std::string::npos);
}

TEST(NodeInterface, AChangeOfConfigurationKeepsTheVersionToGoBackTo) {
  ZooNode zoo("relay");
  ASSERT_TRUE(zoo.swap("relay_2").ok());
  const auto live = zoo.node().configure("cage", R"({"size":7})");
  ASSERT_TRUE(live.ok()) << live.error().message;
  ASSERT_FALSE(*live);
  Watching watching(zoo);

  auto asked = call_node(zoo, "RollBack", {{"slot", "cage"}});

  ASSERT_TRUE(asked.ok()) << asked.error().message;
  ASSERT_NE(watching.until_change_is(string_or(asked->body, "change"), "done"), "");
  EXPECT_EQ(version_of_relay(zoo), "1.0.0");
  EXPECT_EQ(int_or(config_of_relay(zoo), "size"), 7);
}

TEST(NodeInterface, VersionAndConfigurationChangeTogetherOrNotAtAll) {
  ZooNode zoo("relay");
  Watching watching(zoo);
  auto asked = call_node(zoo, "Swap", {{"slot", "cage"}, {"path", zoo_file("relay_2")}, {"config", {{"size", 9}}}});
  ASSERT_TRUE(asked.ok()) << asked.error().message;
  ASSERT_NE(watching.until_change_is(string_or(asked->body, "change"), "done"), "");
  EXPECT_EQ(version_of_relay(zoo), "2.0.0");
  EXPECT_EQ(int_or(config_of_relay(zoo), "size"), 9);

  asked = call_node(zoo, "Swap", {{"slot", "cage"}, {"path", zoo_file("good")}, {"config", {{"size", 5}}}});

  ASSERT_TRUE(asked.ok()) << asked.error().message;
  const auto failed = watching.until_change_is(string_or(asked->body, "change"), "failed");
  EXPECT_NE(failed.find("does not provide test.relay/1.0"), std::string::npos) << failed;
  EXPECT_EQ(version_of_relay(zoo), "2.0.0");
  EXPECT_EQ(int_or(config_of_relay(zoo), "size"), 9);
}

TEST(NodeInterface, AChangeIsInForceBeforeTheOldOneHasGone) {
  ZooNode zoo("hang_in_drain");
  Watching watching(zoo);

  auto asked = call_node(zoo, "Swap", {{"slot", "cage"}, {"path", zoo_file("good_2")}});

  ASSERT_TRUE(asked.ok()) << asked.error().message;
  const auto told = watching.until([](const json::object& line) {
    const auto* change = find_object(line, "change");
    return change != nullptr && bool_or(*change, "in_force");
  });
  EXPECT_NE(told.find(R"("state":"running")"), std::string::npos) << told;
  EXPECT_TRUE(bool_or(facts_of(zoo), "settled"));
  EXPECT_EQ(string_or(facts_of(zoo), "version"), "2.0.0");
  EXPECT_NE(watching.until_change_is(string_or(asked->body, "change"), "done"), "");
}

TEST(NodeInterface, AFailedChangeSaysWhyAndIsRemembered) {
  ZooNode zoo("good");
  Watching watching(zoo);

  auto asked = call_node(zoo, "Swap", {{"slot", "cage"}, {"path", zoo_file("start_fails")}});

  ASSERT_TRUE(asked.ok()) << asked.error().message;
  const auto id = string_or(asked->body, "change");
  ASSERT_NE(watching.until_change_is(id, "failed").find("the engine does not turn"), std::string::npos);
  auto remembered = call_node(zoo, "Change", {{"change", id}});
  ASSERT_TRUE(remembered.ok()) << remembered.error().message;
  EXPECT_EQ(string_or(remembered->body, "state"), "failed");
  EXPECT_EQ(zoo.version(), "1.0.0");
  EXPECT_EQ(call_node(zoo, "Change", {{"change", "other"}}).error().code, Code::not_found);
}

TEST(NodeInterface, AWatchBeginsWithAllAndTellsOfAnOperatorsSwap) {
  ZooNode zoo({{"cage", "good"}, {"other", "relay"}});
  Watching watching(zoo);
  const auto first = watching.until([](const json::object&) { return true; });
  EXPECT_NE(first.find(R"({"plugins":[)"), std::string::npos) << first;
  EXPECT_NE(first.find(R"("slot":"other")"), std::string::npos) << first;

  ASSERT_TRUE(zoo.swap("good_2").ok());

  const auto told = watching.until([](const json::object& line) {
    const auto* plugin = find_object(line, "plugin");
    return plugin != nullptr && string_or(*plugin, "version") == "2.0.0";
  });
  EXPECT_NE(told.find(R"("slot":"cage")"), std::string::npos) << told;
}

TEST(NodeInterface, HistorySaysWhoAsked) {
  ZooNode zoo("relay");
  Watching watching(zoo);
  auto asked = call_by_plugin(zoo, "Configure", {{"slot", "cage"}, {"config", {{"label", "x"}}}});
  ASSERT_TRUE(asked.ok()) << asked.error().message;
  ASSERT_NE(watching.until_change_is(string_or(asked->body, "change"), "done"), "");

  auto history = call_node(zoo, "History", {{"slot", "cage"}, {"limit", 10}});

  ASSERT_TRUE(history.ok()) << history.error().message;
  const auto text = json::serialize(history->body);
  int by_it = 0;
  for (const auto& entry : history->body.at("entries").as_array()) {
    const auto* by = find_object(entry.as_object(), "by");
    by_it += by != nullptr && string_or(*by, "plugin") == "cage" ? 1 : 0;
  }
  EXPECT_EQ(by_it, 2) << text << " what it asked for, and what was done of it";
}

TEST(RecentLines, KeepsTheNewestAndNoMoreThanItsBytes) {
  RecentLines recent;
  const std::string words(1'000, 'w');
  for (int i = 0; i < 400; ++i) recent.add("cage", "info", std::to_string(i) + " " + words);
  recent.add("other", "info", "alone");

  const auto kept = recent.last("cage", kRecentLinesMax);

  std::size_t bytes = 0;
  for (const auto& line : kept) bytes += string_or(line.as_object(), "text").size();
  EXPECT_LE(bytes, kRecentBytesMax);
  EXPECT_GT(bytes, kRecentBytesMax / 2);
  EXPECT_EQ(string_or(kept.back().as_object(), "text"), "399 " + words);
  EXPECT_EQ(string_or(kept.front().as_object(), "text"), std::to_string(400 - kept.size()) + " " + words);
  EXPECT_EQ(recent.last("other", 9).size(), 1u);
}

TEST(NodeInterface, HasTheLastLinesOfAPluginsLog) {
  ZooNode zoo({{"cage", "relay"}, {"other", "good"}});

  auto log = call_node(zoo, "Log", {{"slot", "cage"}, {"lines", 1}});

  ASSERT_TRUE(log.ok()) << log.error().message;
  const auto& lines = log->body.at("lines").as_array();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(string_or(lines[0].as_object(), "text").find("event=plugin_up slot=cage"), std::string::npos) << lines;
  EXPECT_EQ(string_or(lines[0].as_object(), "level"), "info");
  EXPECT_EQ(call_node(zoo, "Log", {{"slot", "none"}}).error().code, Code::not_found);
}

TEST(NodeInterface, RefusesWhatItDoesNotKnow) {
  ZooNode zoo("relay");

  EXPECT_EQ(call_node(zoo, "Explode").error().code, Code::unimplemented);
  EXPECT_EQ(call_node(zoo, "Swap", {{"slot", "cage"}}).error().code, Code::invalid_argument);
  EXPECT_EQ(call_node(zoo, "Swap", {{"slot", "cage"}, {"path", "x.so"}}).error().code, Code::invalid_argument);
  EXPECT_EQ(call_node(zoo, "Swap", {{"slot", "none"}, {"path", "/x.so"}}).error().code, Code::not_found);
  EXPECT_EQ(call_node(zoo, "Configure", {{"slot", "cage"}}).error().code, Code::invalid_argument);
}

TEST(RuntimeConfig, OutlivesTheHostUntilTheFilesChanges) {
  ZooNode zoo("relay");
  ASSERT_TRUE(zoo.node().configure("cage", R"({"label":"mine","size":8})").ok());

  zoo.reboot();
  EXPECT_EQ(string_or(config_of_relay(zoo), "label"), "mine");
  EXPECT_EQ(int_or(config_of_relay(zoo), "size"), 8);

  zoo.set_file_config("cage", R"({"label":"the file's"})");
  zoo.reboot();
  EXPECT_EQ(string_or(config_of_relay(zoo), "label"), "the file's");
  EXPECT_EQ(int_or(config_of_relay(zoo), "size"), 3);
}

TEST(RuntimeConfig, OfAnotherVersionIsSetAside) {
  ZooNode zoo("relay");
  const std::string file = zoo.folder() + "/data/core/active.json";
  auto record = ActiveRecord::load(file);
  ASSERT_TRUE(record.ok());
  record->slot("cage").config = R"({"gone":1})";
  record->slot("cage").configured_config_digest = digest_of_text("{}");
  ASSERT_TRUE(record->save().ok());

  zoo.reboot();

  EXPECT_EQ(zoo.state(), "up") << zoo.reason();
}

TEST(ConfigSecrets, AreLeftOutKeptAndDropped) {
  const auto schema = *parse_json_object(
      R"({"properties":{"key":{"writeOnly":true},"tls":{"properties":{"pem":{"writeOnly":true},"port":{}}}}})");
  const auto in_force = *parse_json_object(R"({"key":"a","tls":{"pem":"b","port":1},"x":2})");
  std::vector<std::string> secrets;

  EXPECT_EQ(without_secrets(schema, in_force, &secrets), *parse_json_object(R"({"tls":{"port":1},"x":2})"));
  EXPECT_EQ(secrets, (std::vector<std::string>{"key", "tls.pem"}));
  EXPECT_EQ(with_kept_secrets(schema, *parse_json_object(R"({"tls":{"port":3}})"), in_force),
            *parse_json_object(R"({"tls":{"port":3,"pem":"b"},"key":"a"})"));
  EXPECT_EQ(with_kept_secrets(schema, *parse_json_object(R"({"key":null})"), in_force), json::object{});
}

}  // namespace
}  // namespace flynn::core
