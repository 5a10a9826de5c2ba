#include "plugin_env.h"

#include <gtest/gtest.h>

#include "node_door_test.h"

namespace flynn::controller {
namespace {

json::object config_of(const json::object& env) {
  auto config = config_of_env(test_schema(), env);
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return config ? *config : json::object{};
}

std::string refusal_of(const json::object& env) {
  auto config = config_of_env(test_schema(), env);
  return config ? "" : config.error().message;
}

TEST(PluginEnv, ShowsStringsAsTheyStandAndTheRestAsJson) {
  const json::object config{{"size", 5}, {"label", "a \"b\""}, {"ratio", 0.5}, {"on", true}, {"list", {1, "x"}}};

  const auto env = env_of_config(config);

  EXPECT_EQ(env, (json::object{
                     {"SIZE", "5"}, {"LABEL", "a \"b\""}, {"RATIO", "5E-1"}, {"ON", "true"}, {"LIST", "[1,\"x\"]"}}));
  EXPECT_EQ(config_of(env), config);
}

TEST(PluginEnv, ReadsAStringThatLooksLikeANumberAsAString) {
  EXPECT_EQ(config_of({{"LABEL", "5000"}}), (json::object{{"label", "5000"}}));
}

TEST(PluginEnv, ReadsAnIntegerWhereANumberIsWanted) {
  EXPECT_EQ(config_of({{"RATIO", "2"}}), (json::object{{"ratio", 2}}));
}

TEST(PluginEnv, LeavesOutWhatTheSchemaSaysAnyway) {
  EXPECT_EQ(config_of({{"SIZE", "3"}, {"LABEL", ""}, {"LIST", "[]"}}), json::object{});
}

TEST(PluginEnv, NamesTheVariableThatIsWrongButNotItsValue) {
  const auto words = refusal_of({{"SIZE", "s3cret"}});

  EXPECT_NE(words.find("SIZE must be of type integer"), std::string::npos) << words;
  EXPECT_EQ(words.find("s3cret"), std::string::npos) << words;
  EXPECT_NE(refusal_of({{"ON", "yes"}}).find("ON must be of type boolean"), std::string::npos);
  EXPECT_NE(refusal_of({{"SIZE", "1.5"}}).find("integer"), std::string::npos);
}

TEST(PluginEnv, NamesTheSettingsWhenAVariableIsNone) {
  const auto words = refusal_of({{"COLOUR", "red"}});

  EXPECT_NE(words.find("COLOUR is no setting"), std::string::npos) << words;
  EXPECT_NE(words.find("SIZE"), std::string::npos) << words;
}

TEST(PluginEnv, ReadsAnythingWhereTheSchemaIsOpen) {
  auto config = config_of_env({}, {{"A", "1"}, {"B", "text"}, {"C", "{\"d\":[]}"}});

  ASSERT_TRUE(config);
  EXPECT_EQ(*config, (json::object{{"a", 1}, {"b", "text"}, {"c", {{"d", json::array{}}}}}));
}

TEST(PluginEnv, KnowsTheSecrets) {
  const json::object env{{"TOKEN", "x"}, {"SIZE", "4"}};

  EXPECT_EQ(secrets_of_env(test_schema(), env), (json::object{{"TOKEN", "x"}}));
  EXPECT_EQ(env_without_secrets(test_schema(), env), (json::object{{"SIZE", "4"}}));
}

}  // namespace
}  // namespace flynn::controller
