// What a plan says, as a function of manifests, and of a running node.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "schema_changes.h"
#include "zoo_node.h"

namespace flynn::core {
namespace {

std::string manifest(const std::string& version, const std::string& members = "") {
  return R"({"name":"router","version":")" + version + R"(","abi":"1.0","provides":["flynn.router/1.1"])" + members +
         "}";
}

PlanInput input_of(const std::string& older, const std::string& newer) {
  PlanInput input;
  input.slot = "router";
  input.old_manifest = *parse_manifest(older);
  input.old_digest = "aa";
  input.new_digest = "bb";
  input.old_config = "{}";
  input.config_json = "{}";
  ElfFacts facts;
  facts.manifest_text = newer;
  facts.exports = {"flynn_plugin_entry_1"};
  facts.binds_now = true;
  input.file_facts = facts;
  input.file = "/new.so";
  return input;
}

std::string verdict_of(const PlanInput& input) { return string_or(plan_swap(input).document, "verdict"); }

std::string reasons_of(const SwapPlan& plan) {
  std::string all;
  for (const auto& reason : plan.refusals) all += reason + "\n";
  return all;
}

TEST(SwapPlan, SaysWhetherAnythingChanges) {
  auto input = input_of(manifest("1.0.0"), manifest("1.0.1"));
  EXPECT_EQ(verdict_of(input), "changes");
  input.new_digest = input.old_digest;
  EXPECT_EQ(verdict_of(input), "no_change");
  input.old_config = R"({"x":1})";
  EXPECT_EQ(verdict_of(input), "changes") << "the configuration is another";
}

TEST(SwapPlan, NamesTheMinorThatIsMissing) {
  auto input = input_of(manifest("1.0.0"), manifest("1.1.0", R"(,"requires":["flynn.store/1.4"])"));
  input.providers = {{{"flynn.store", 1, 0}, "store", true}};

  const auto plan = plan_swap(input);

  EXPECT_EQ(reasons_of(plan), "it requires flynn.store/1.4, the running store provides 1.0\n");
  EXPECT_EQ(string_or(plan.document, "verdict"), "refused");
  EXPECT_EQ(plan.verdict("/new.so").error().message,
            "/new.so: it requires flynn.store/1.4, the running store provides 1.0");
}

TEST(SwapPlan, TellsAllReasonsAtOnce) {
  auto input = input_of(manifest("1.0.0"), R"({"name":"other","version":"1.0.0","abi":"1.0","requires":["a.b/1"],
    "swap":"exclusive","config":{"properties":{"port":{"type":"integer"}},"required":["port"]}})");
  input.file_facts->has_rpath = true;
  input.with_canary = true;

  const auto reasons = reasons_of(plan_swap(input));

  for (const char* words : {"RPATH", "the plugin \"other\"", "does not provide flynn.router/1.1", "requires a.b/1.0",
                            "canary", "does not suit it"})
    EXPECT_NE(reasons.find(words), std::string::npos) << words << " in " << reasons;
}

TEST(SwapPlan, KeepsEveryMinorThatSomebodyRequires) {
  auto input =
      input_of(manifest("1.1.0"), R"({"name":"router","version":"1.0.0","abi":"1.0","provides":["flynn.router/1.0"]})");
  EXPECT_EQ(verdict_of(input), "changes") << "nobody needs 1.1: going back is possible";

  input.dependants = {{"controller", {"flynn.router", 1, 1}}};

  EXPECT_EQ(reasons_of(plan_swap(input)), "it provides flynn.router/1.0, but controller requires flynn.router/1.1\n");
}

TEST(SwapPlan, SaysWhatAFileWithoutAManifestLacks) {
  auto input = input_of(manifest("1.0.0"), "");
  EXPECT_NE(reasons_of(plan_swap(input)).find("has no .note.flynn"), std::string::npos);
  input.file_facts = Error{Code::not_found, "open /new.so: No such file or directory"};
  EXPECT_EQ(plan_swap(input).verdict("/new.so").error().code, Code::not_found);
}

TEST(SwapPlan, ComparesCapabilitiesAndListeners) {
  auto input = input_of(manifest("1.0.0", R"(,"capabilities":["net"])"),
                        manifest("1.1.0", R"(,"capabilities":["listen:http","listen:tcp"])"));
  input.lent = {"http"};

  const auto document = plan_swap(input).document;

  EXPECT_EQ(json::serialize(document.at("capabilities")),
            R"({"added":["listen:http","listen:tcp"],"removed":["net"]})");
  EXPECT_EQ(json::serialize(document.at("listeners")), R"({"added":["http","tcp"],"removed":[],"missing":["tcp"]})");
}

TEST(SchemaChanges, AreAddedRemovedAndChangedProperties) {
  const auto changes = compare_schemas(
      R"({"properties":{"a":{"type":"integer"},"b":{"type":"string","description":"old words"},"o":{"type":"object","properties":{"x":{"type":"integer"}}}}})",
      R"({"properties":{"b":{"type":"string","description":"new words"},"c":{},"o":{"type":"object","properties":{"x":{"type":"number"}}}},"required":["c"]})");

  EXPECT_EQ(
      json::serialize(changes.document()),
      R"({"added":["c"],"removed":["a"],"changed":[{"property":"o.x","from":"{\"type\":\"integer\"}","to":"{\"type\":\"number\"}"}]})");
}

TEST(Plan, OfARunningNodeAgreesWithTheSwap) {
  ZooNode zoo({{"cage", "provides_more"}, {"caller", "needs_more"}});
  ASSERT_EQ(zoo.state("caller"), "up");
  const std::map<std::string, std::string> answers{
      {"good", "caller requires zoo.animal/1.2"},   {"provides_less", "does not provide zoo.animal/1.2"},
      {"needs_missing", "flynn.missing/1.0"},       {"no_note", "no .note.flynn"},
      {"board", "does not provide zoo.animal/1.2"}, {"lazy", "binds lazily"},
  };
  for (const auto& [animal, words] : answers) {
    const auto plan = zoo.plan(animal);
    const auto swapped = zoo.swap(animal);
    EXPECT_EQ(string_or(plan, "verdict"), "refused") << animal;
    ASSERT_FALSE(swapped.ok()) << animal;
    for (const auto& reason : strings_or_empty(plan, "reasons"))
      EXPECT_NE(swapped.error().message.find(reason), std::string::npos) << reason;
    EXPECT_NE(swapped.error().message.find(words), std::string::npos) << swapped.error().message;
  }
  EXPECT_EQ(string_or(zoo.plan("provides_more"), "verdict"), "no_change");
  EXPECT_EQ(zoo.version(), "1.2.0") << "a plan changes nothing";
}

TEST(Plan, TellsWhatHasToDrainAndHowLongSwapsTook) {
  ZooNode zoo("good");
  EXPECT_TRUE(zoo.plan("good_2").at("expected").is_null());
  ASSERT_TRUE(zoo.swap("good_2").ok());
  ASSERT_TRUE(zoo.swap("good").ok());

  const auto plan = zoo.plan("good_2");

  EXPECT_EQ(string_or(plan, "verdict"), "changes");
  EXPECT_EQ(int_or(plan.at("expected").as_object(), "swaps"), 2);
  EXPECT_EQ(string_or(plan.at("expected").as_object(), "of"), "slot");
  EXPECT_EQ(int_or(plan.at("drain").as_object(), "calls_inside", -1), 0);
  EXPECT_EQ(bool_or(plan.at("drain").as_object(), "connections_move", true), false);
  EXPECT_EQ(string_or(plan.at("from").as_object(), "version"), "1.0.0");
  EXPECT_EQ(string_or(plan.at("to").as_object(), "version"), "2.0.0");
}

TEST(Plan, RefusesWhatIsNoFileAndDoesNotReadItForEver) {
  ZooNode zoo("good");
  const auto pipe = zoo.folder() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);

  for (const std::string& path : {pipe, std::string("/dev/zero"), zoo.folder()}) {
    const auto plan = zoo.node().plan_swap("cage", path, {});
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(string_or(*plan, "verdict"), "refused") << path;
    EXPECT_EQ(json::serialize(plan->at("reasons")), json::serialize(json::array{path + ": not a regular file"}));
    EXPECT_FALSE(plan->contains("signature")) << "of nothing";
    EXPECT_FALSE(zoo.node().swap("cage", path, SwapOptions{}, {}).ok());
  }
}

TEST(Plan, OfASlotWhereNothingRunsAgreesWithTheSwapToo) {
  ZooNode zoo("start_fails");
  ASSERT_EQ(zoo.state(), "failed");
  for (const char* animal : {"needs_missing", "no_note", "abi_2", "start_fails"}) {
    const auto plan = zoo.plan(animal);
    const auto swapped = zoo.swap(animal);
    ASSERT_FALSE(swapped.ok()) << animal;
    for (const auto& reason : strings_or_empty(plan, "reasons"))
      EXPECT_NE(swapped.error().message.find(reason), std::string::npos) << reason << swapped.error().message;
  }
  SwapOptions canary;
  canary.canary_permille = 50;
  EXPECT_EQ(string_or(zoo.plan("good", "cage", canary), "verdict"), "refused");
  EXPECT_NE(zoo.swap("good", canary).error().message.find("leave --canary out"), std::string::npos);

  const auto plan = zoo.plan("good_2");

  EXPECT_EQ(string_or(plan, "verdict"), "changes") << plan;
  EXPECT_TRUE(plan.at("from").is_null());
  EXPECT_EQ(string_or(plan.at("swap").as_object(), "mode"), "start");
  ASSERT_TRUE(zoo.swap("good_2").ok());
  EXPECT_EQ(zoo.version(), "2.0.0");
}

TEST(Plan, ExpectsTheTimeOfTheWorkAndThatOfTheProbationThatIsAskedFor) {
  ZooNode zoo("good");
  SwapOptions options;
  options.probation = std::chrono::milliseconds(300);
  ASSERT_TRUE(zoo.swap("good_2", options).ok());
  const auto expected = [&](std::int64_t probation_ms) {
    options.probation = std::chrono::milliseconds(probation_ms);
    return zoo.plan("good", "cage", options).at("expected").as_object();
  };

  const auto none = expected(0), hour = expected(3'600'000);

  EXPECT_EQ(none.at("ms"), none.at("work_ms"));
  EXPECT_EQ(hour.at("ms").to_number<double>(), none.at("work_ms").to_number<double>() + 3'600'000);
}

TEST(Plan, AsksTheRunningVersionForItsFigures) {
  ZooNode zoo("board");

  const auto drain = zoo.plan("board_2").at("drain").as_object();

  EXPECT_TRUE(bool_or(drain, "connections_move"));
  ASSERT_NE(find_object(drain, "figures"), nullptr) << drain;
  EXPECT_EQ(int_or(*find_object(drain, "figures"), "connections", -1), 0);
}

}  // namespace
}  // namespace flynn::core
