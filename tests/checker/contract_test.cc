// The contracts as JSON say what the pages beside them say, and are right in themselves.
#include "contract.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace flynn::authoring {
namespace {

// The first column of a page's tables: "| Get | …", "| Volumes / VolumeDestroy | …", "| Authorize (1.1) | …".
std::set<std::string> methods_of_page(const std::filesystem::path& page) {
  std::set<std::string> methods;
  std::ifstream file(page);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| ") || line.starts_with("| method")) continue;
    std::string cell = line.substr(2, line.find('|', 2) - 2), name;
    for (const char c : cell.substr(0, cell.find('('))) {
      if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
        name += c;
      } else if (!name.empty()) {
        methods.insert(std::exchange(name, {}));
      }
    }
    if (!name.empty()) methods.insert(name);
  }
  return methods;
}

class ContractOf : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto loaded = load_contract(std::string("flynn.") + GetParam() + "/1");
    ASSERT_TRUE(loaded) << loaded.error().message;
    ASSERT_TRUE(loaded->has_value());
    contract_ = std::move(**loaded);
  }
  Contract contract_;
};

TEST_P(ContractOf, HasTheMethodsOfItsPage) {
  std::set<std::string> methods;
  for (const auto& method : contract_.methods) methods.insert(method.name);

  EXPECT_EQ(methods, methods_of_page(interfaces_folder() + "/" + GetParam() + ".md"));
}

TEST_P(ContractOf, HasExamplesThatFitItsOwnSchemas) {
  for (const auto& method : contract_.methods)
    EXPECT_EQ(schema_fault(method.request, method.example), "") << method.name;
}

TEST_P(ContractOf, KnowsOnlyCodesThatThereAre) {
  for (const auto& method : contract_.methods)
    for (const auto& code : method.errors) EXPECT_EQ(code_name(code_from_name(code)), code) << method.name;
}

TEST_P(ContractOf, HasScenariosOfItsOwnMethods) {
  EXPECT_FALSE(contract_.suite.empty());
  for (const auto& scenario : contract_.suite)
    for (const auto& step : *find_array(scenario, "steps"))
      if (const auto called = find_string(step.as_object(), "call")) {
        const auto of = find_string(step.as_object(), "of");
        const auto other = of ? load_contract(*of) : Result<std::optional<Contract>>(contract_);
        ASSERT_TRUE(other.ok() && other->has_value()) << *of;
        EXPECT_NE((*other)->method(*called), nullptr) << string_or(scenario, "title") << ": " << *called;
      }
}

// Each that the page has is asked for at least once, so that nobody passes who does not do it.
TEST_P(ContractOf, HasAScenarioForEachOfItsMethods) {
  std::set<std::string> called;
  for (const auto& scenario : contract_.suite)
    for (const auto& step : *find_array(scenario, "steps"))
      if (!step.as_object().contains("of")) called.insert(string_or(step.as_object(), "call"));
  for (const auto& method : contract_.methods) {
    EXPECT_TRUE(called.contains(method.name)) << method.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Interfaces, ContractOf,
                         testing::Values("blobstore", "builder", "controller", "database", "discovery", "host",
                                         "images", "logs", "router", "scheduler", "store"),
                         [](const auto& interface) { return std::string(interface.param); });

TEST(Contract, IsAskedForByNameAndMajor) {
  EXPECT_FALSE(load_contract("flynn.store/2")->has_value());
  EXPECT_FALSE(load_contract("flynn.nothing/1")->has_value());
  EXPECT_FALSE(load_contract("com.example.store/1")->has_value());
}

TEST(Contract, NamesTheKeyOfAnAnswerThatIsWrong) {
  Method method;
  method.name = "Count";
  method.reply = {{"required", json::array{"n"}}, {"properties", {{"n", {{"type", "integer"}}}}}};

  EXPECT_EQ(reply_fault(method, {{"n", 1}}, {}), "");
  EXPECT_NE(reply_fault(method, {{"n", "one"}}, {}).find("key n"), std::string::npos);
  EXPECT_NE(reply_fault(method, {}, {}).find("'n'"), std::string::npos);
  method.gives_descriptor = true;
  EXPECT_NE(reply_fault(method, {{"n", 1}}, {}).find("descriptor"), std::string::npos);
  std::vector<UniqueFd> closed;
  closed.emplace_back(987'654);
  EXPECT_NE(reply_fault(method, {{"n", 1}}, closed).find("987654, which is not open"), std::string::npos);
}

}  // namespace
}  // namespace flynn::authoring
